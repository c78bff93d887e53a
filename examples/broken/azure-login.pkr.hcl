variable "admin" {
  default = "Admin"
}

variable "key_type" {
  default = "ecdsa"
}

locals {
  login = lower(var.admin)
}

source "azure-arm" "web" {
  os_type                 = "Linux"
  location                = "westeurope"
  use_azure_cli_auth      = true
  image_publisher         = "Debian"
  image_offer             = "debian-12"
  image_sku               = "12"
  skip_create_image       = true
  ssh_username            = local.login
  ssh_password            = "geheim"
  temporary_key_pair_type = var.key_type
}

build {
  sources = ["source.azure-arm.web"]
}
