source "azure" "web" {
  location = "westeurope"
}

build {
  sources = ["source.azure.web"]
}
