variable "zones" {
  type = list(sring)
}

locals {
  first = var.zones[0].nam
  home  = env("HOME")
}

source "file" "web" {
  target  = "web.txt"
  content = local.first
}

build {
  sources = ["source.file.web"]
}
