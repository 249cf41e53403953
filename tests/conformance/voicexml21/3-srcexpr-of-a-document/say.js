function said() { return 'from ' + file; }
