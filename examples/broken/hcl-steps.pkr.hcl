variable "pause" {
  default = "5 minutes"
}

source "file" "web" {
  target  = "web.txt"
  content = "web"
}

build {
  name    = ["web"]
  sources = ["source.file.web"]

  provisioner "shell-local" {
    inline       = ["date"]
    pause_before = var.pause
    max_retries  = -1
    only         = ["file.web"]
    except       = ["file.db"]
  }
  provisioner "shell-local" "date" {
    inline = ["date"]
  }
  provisioner {
    inline = ["date"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["rm web.txt"]
  }
  error-cleanup-provisioner "shell-local" {
    inline = ["rm -r out"]
  }
  post-procesor "manifest" {}
  post-processors {
    keep_input_artifact = true
    provisioner "shell-local" {}
  }
}
