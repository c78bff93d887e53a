zones = [1, 2]
