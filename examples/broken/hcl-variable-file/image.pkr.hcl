variable "zones" {
  type = list(number)
}

variable "pin" {
  type      = number
  sensitive = true
}

variable "wait" {
  default = "5m"
}

locals {
  pause = var.wait
  rest  = "${local.pause}"
}

source "file" "web" {
  target  = "web.txt"
  content = join(",", var.zones)
}

build {
  sources = ["source.file.web"]

  provisioner "sleep" {
    duration = local.rest
  }
}
