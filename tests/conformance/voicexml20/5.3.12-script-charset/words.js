var word = 'été';
