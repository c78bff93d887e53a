variable "level" {
  default = 20
}

locals {
  compression = var.level - 30
}

source "file" "web" {
  target  = "web.txt"
  content = "web"
}

build {
  sources = ["source.file.web"]

  post-processor "compress" {
    output            = "web.zip"
    compression_level = local.compression
  }
  post-processor "checksum" {
    checksum_types = "sha256"
  }
  post-processor "artifice" {
  }
}
