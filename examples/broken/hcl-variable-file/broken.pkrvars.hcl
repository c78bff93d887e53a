zones = [for zone in [1, 2] : zone * 2]
pin   = var.pin_of_today
wait  = format("%dm", 5)

variable "owner" {
  default = "team web"
}
