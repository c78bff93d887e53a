source "azure-arm" "web" {
  os_type           = "Linux"
  location          = "westeurope"
  vm_size           = "Standard_B2s"
  client_id         = "5a1c"
  client_secret     = "none"
  subscription_id   = "9e1f"
  skip_create_image = true
}

source "azure-arm" "db" {
  os_type         = "Linux"
  locaton         = "westeurope"
  client_id       = "5a1c"
  client_secret   = "none"
  subscription_id = "9e1f"

  custom_managed_image_name         = "base"
  managed_image_resource_group_name = "images"
}

build {
  sources = ["source.azure-arm.web", "source.azure-arm.db"]
}
