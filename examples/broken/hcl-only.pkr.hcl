source "file" "debian" {
  target  = "debian.txt"
  content = "web"
}

source "file" "ubuntu" {
  target  = "ubuntu.txt"
  content = "web"
}

build {
  sources = ["source.file.debian", "source.file.ubuntu"]
}
