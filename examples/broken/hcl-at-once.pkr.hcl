variable "disk_size" {
  type    = number
  default = "big"
}

variable "client_secret" {
  sensitive = true
}

locals {
  zones    = [for zone in 3 : "zone-${zone}"]
  commands = concat(["apt-get update"], local.zones)
}

source "azure-arm" "web" {
  client_id         = "11111111-2222-3333-4444-555555555555"
  client_secret     = var.client_secret
  subscription_id   = "11111111-2222-3333-4444-555555555555"
  os_type           = "Linux"
  image_publisher   = "Debian"
  image_offer       = "debian-12"
  image_sku         = "12"
  location          = local.zones
  os_disk_size_gb   = var.disk_size
  vm_sise           = "Standard_B1s"
  skip_create_image = true
}

build {
  sources = ["source.azure-arm.web"]

  provisioner "shell" {
    inline = local.commands
  }
  provisioner "shel" {
    inline = ["true"]
  }
}
