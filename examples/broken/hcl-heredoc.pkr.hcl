source "file" "motd" {
  target  = "motd"
  content = <<EOF
This machine was built by Packer.
Don't change it by hand.
EOF;
}

build {
  sources = ["source.file.motd"]
}
