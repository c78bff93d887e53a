<p>${templatefile("legal.html.tpl", {})} ${env("USER")} ${upper(year) * 2}</p>
