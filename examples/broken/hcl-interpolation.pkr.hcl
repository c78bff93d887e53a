locals {
  name  = "web-${var.release"
  owner = "team web"
}
