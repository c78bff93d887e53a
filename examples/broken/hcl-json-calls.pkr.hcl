variable "release" {
  default = "2024.06"
}

source "file" "web" {
  target  = "{{ user `release` }}.txt"
  content = "built {{ isotime `2006` "
}

build {
  sources = ["source.file.web"]

  provisioner "shell-local" {
    inline = ["echo ${build.Hots}"]
  }
}
