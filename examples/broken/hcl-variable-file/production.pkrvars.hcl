zones = ["west", "north"]
pin   = "kR4-9xQ2"
wait  = "5 minutes"
zone  = 1
