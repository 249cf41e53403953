said = 'one';
