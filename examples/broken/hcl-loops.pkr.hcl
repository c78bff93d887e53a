locals {
  names  = ["web", "db"]
  upper  = [for name of local.names : upper(name)]
  hosts  = [for name in local.names upper(name)]
  zones  = {for name in local.names : upper(name)}
  pairs  = [for name in local.names : name => upper(name)]
  groups = [for name in local.names : name...]
  each   = [for "name" in local.names : name]
}

build {
  sources = ["source.null.web"]
}
