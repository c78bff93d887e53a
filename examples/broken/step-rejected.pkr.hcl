source "file" "web" {
  target  = "web.txt"
  content = "web"
}

build {
  sources = ["source.file.web"]

  provisioner "sleep" {
    seconds = 30
  }
}
