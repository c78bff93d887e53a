source "file" "notes" {
  content = "built by packer"
  target  = "notes.txt"
}
}

source "file" "motd" = {
  content = "hello"
  target  = "motd"
}

build
{
  sources = ["source.file.notes"]
}

build {
  provisioner "shell-local" { inline = ["date"] timeout = "5m" }
  sources = ["source.file.notes"]
}
