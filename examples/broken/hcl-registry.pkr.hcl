source "file" "web" {
  target  = "web.txt"
  content = "web"
}

build {
  sources = ["source.file.web"]

  hcp_packer_registry {
    bucket_name = "web images"
  }
  hcp_packer_registry {
    bucket_name = "web"
  }
}
