variable "region name" {
  default = "westeurope"
}

variable "owner" {
  description = "Owner of ${var.region}"
  sensitive   = var.prod
  typ         = string
}

variable "size" {
  type    = strng
  default = 10
}

variable "disks" {
  type    = "list(number)"
  default = ["one", "two"]
}

variable "ports" {
  type    = list(number)
  default = ["ssh", "http"]
}

variable "image" {
  default = "web-${var.owner}"
}

variable "image" {
  default = "db"
}

variable {
  default = true
}
