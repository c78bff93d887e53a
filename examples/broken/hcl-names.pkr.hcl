variable "location" {
  default = "westeurope"
}

locals {
  release = "2024.06"
  region  = var.locaton
  stamp   = local.timestmp
  image   = "web-${release}"
  owner   = vars.owner
  index   = count.index
  home    = env.HOME
  time    = timestap()
  user    = env("USER")
  page    = data.http.releases.body
  digest  = blake3(local.image)
}
