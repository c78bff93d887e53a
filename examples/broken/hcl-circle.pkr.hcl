locals {
  image   = "web-${local.version}"
  version = "${local.release}-1"
  release = trimprefix(local.image, "web-")
  owner   = "team web"
}

local "owner" {
  expression = "team db"
  sensitive  = local.secret
}

local "stamp" {
  expression = "${local.stamp}-1"
}
