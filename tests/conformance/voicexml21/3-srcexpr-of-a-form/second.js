said = 'two';
