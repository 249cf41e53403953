n = n * n;
