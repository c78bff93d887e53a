//! Functions of secret stores. This engine opens no connection to any: each call fails and says what to do instead.

use super::{Fault, Function, Host, Outcome, any, function, gives, param, string};
use crate::hcl::Val;

pub(super) const TABLE: &[Function] = &[
    function(
        "aws_secretsmanager",
        "Not offered: a secret of AWS Secrets Manager.",
        &[param("name", string)],
        gives::string,
        refuse,
    )
    .rest(param("key", any).or_null()),
    function(
        "aws_secretsmanager_raw",
        "Not offered: a secret of AWS Secrets Manager as it is.",
        &[param("name", string)],
        gives::string,
        refuse,
    ),
    function("consul_key", "Not offered: a key of Consul.", &[param("key", string)], gives::string, refuse),
    function(
        "vault",
        "Not offered: a secret of Vault.",
        &[param("path", string), param("key", string)],
        gives::string,
        refuse,
    ),
];

fn refuse(_: &[Val], _: &dyn Host) -> Outcome {
    Err(Fault::from(
        "Fornax has no client for this service; declare a sensitive variable instead, and give it its value in the \
         environment, as PKR_VAR_ and its name, or in a variable file",
    ))
}
