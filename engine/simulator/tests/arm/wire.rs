//! What every call shares: authentication, api-versions, headers, verbs, bodies, unknown paths.

use bytes::Bytes;
use fornax_simulator::Latency;
use serde_json::json;

use crate::bench::{Cloud, NONE, located, vnet};

#[tokio::test]
async fn who_has_no_good_token_gets_a_challenge() {
    let cloud = Cloud::with(
        json!({}),
        json!([{ "match": { "type": "token", "nth": 2 },
        "then": { "token_lifetime_s": 0 } }]),
        Latency::Instant,
    )
    .await;
    let expired = cloud.log_in().await;
    let (head, tail) = cloud.token.split_at(cloud.token.len() - 4);
    let changed = format!("{head}{}", if tail == "AAAA" { "BBBB" } else { "AAAA" });
    let sub = cloud.simulator.credentials().subscription_id.clone();
    let path = format!("GET /subscriptions/{sub}?api-version=2022-12-01");
    for (token, code) in [
        ("", "AuthenticationFailed"),
        ("Basic abc", "AuthenticationFailed"),
        ("Bearer nonsense", "InvalidAuthenticationToken"),
        (&format!("Bearer {changed}"), "InvalidAuthenticationToken"),
        (&format!("Bearer {expired}"), "ExpiredAuthenticationToken"),
    ] {
        let headers: &[(&str, &str)] = if token.is_empty() { &[] } else { &[("authorization", token)] };
        let answer = cloud.raw(&path, Bytes::new(), headers).await;
        assert_eq!((answer.status, answer.code()), (401, code), "{token}");
        let tenant = &cloud.simulator.credentials().tenant_id;
        let wanted =
            format!("Bearer authorization_uri=\"https://arm.test/{tenant}\", error=\"invalid_token\"");
        assert!(
            answer.header("www-authenticate").starts_with(&wanted),
            "{}",
            answer.header("www-authenticate")
        );
        assert_eq!(answer.header("x-ms-failure-cause"), "gateway");
    }
}

#[tokio::test]
async fn the_token_service_refuses_in_entras_words() {
    let cloud = Cloud::new().await;
    let known = cloud.simulator.credentials().clone();
    let (tenant, client, secret) = (&known.tenant_id, &known.client_id, &known.client_secret);
    let scope = "https%3A%2F%2Farm.test%2F.default";
    let form = |client: &str, secret: &str, scope: &str| {
        format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope={scope}")
    };
    for (tenant, form, status, error, code) in [
        ("t", form(client, secret, scope), 400, "invalid_request", 90002),
        (tenant, form("other", secret, scope), 400, "unauthorized_client", 700016),
        (tenant, form(client, "wrong", scope), 401, "invalid_client", 7000215),
        (tenant, form(client, "", scope), 400, "invalid_request", 7000216),
        (tenant, form(client, secret, "x"), 400, "invalid_scope", 70011),
        (tenant, form(client, secret, ""), 400, "invalid_request", 900144),
        (tenant, "grant_type=password".into(), 400, "unsupported_grant_type", 70003),
    ] {
        let answer =
            cloud.raw(&format!("POST /{tenant}/oauth2/v2.0/token"), Bytes::from(form.clone()), &[]).await;
        assert_eq!(answer.status, status, "{form}");
        assert_eq!(answer.body["error"], error, "{form}");
        assert_eq!(answer.body["error_codes"], json!([code]), "{form}");
        let text = answer.body["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}: ")) && !text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn each_type_has_its_own_api_versions() {
    let cloud = Cloud::new().await;
    cloud
        .table(&[
            ("GET S?api-version=", NONE, "400 MissingApiVersionParameter"),
            ("GET S/resourcegroups?api-version=1999-01-01", NONE, "400 InvalidApiVersionParameter"),
            ("GET R/C/virtualMachines?api-version=2024-07-01", NONE, "200"),
            ("GET R/C/virtualMachines?API-Version=2024-07-01", NONE, "200"),
            ("GET R/C/virtualMachines?api-version=2024-03-02", NONE, "400 NoRegisteredProviderFound"),
            ("GET R/C/disks?api-version=2024-03-02", NONE, "200"),
            ("GET R/C/disks?api-version=2024-07-01", NONE, "400 NoRegisteredProviderFound"),
            ("GET S/C/skus?api-version=2024-07-01", NONE, "400 NoRegisteredProviderFound"),
            ("GET R/N/virtualNetworks?api-version=2024-07-02", NONE, "400 NoRegisteredProviderFound"),
            (
                "PUT R/N/virtualNetworks/vn?api-version=2024-07-02",
                vnet(&["s"]),
                "400 NoRegisteredProviderFound",
            ),
            ("GET R/N/virtualNetworks/vn", NONE, "404 ResourceNotFound"),
        ])
        .await;
    let answer = cloud.send("GET R/C/disks?api-version=2024-07-01", &NONE).await;
    let text = answer.body["error"]["message"].as_str().unwrap();
    assert!(text.contains("'2024-07-01'") && text.contains("2024-03-02"), "it lists the known ones: {text}");
}

#[tokio::test]
async fn every_answer_has_azures_headers() {
    let cloud = Cloud::new().await;
    let headers = [
        ("x-ms-correlation-request-id", "corr-1"),
        ("x-ms-client-request-id", "req-1"),
        ("x-ms-return-client-request-id", "true"),
    ];
    for (request, bucket) in
        [("GET S", "reads"), ("HEAD R", "reads"), ("PUT R", "writes"), ("DELETE R/C/images/none", "deletes")]
    {
        let answer = cloud.send_with(request, &NONE, &headers).await;
        assert_eq!(answer.header("x-ms-correlation-request-id"), "corr-1", "{request}");
        assert_eq!(answer.header("x-ms-client-request-id"), "req-1", "{request}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{request}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{request}");
        for name in ["x-ms-request-id", "x-ms-routing-request-id", "date", "strict-transport-security"] {
            assert!(!answer.header(name).is_empty(), "{request}: {name}");
        }
        let remaining = format!("x-ms-ratelimit-remaining-subscription-{bucket}");
        assert!(!answer.header(&remaining).is_empty(), "{request}: {:?}", answer.headers);
    }
    let answer = cloud.send_with("GET S", &NONE, &headers[1..2]).await;
    assert_eq!(answer.header("x-ms-client-request-id"), "", "nobody asked for it");
}

#[tokio::test]
async fn what_does_not_exist_is_told_apart() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    cloud
        .table(&[
            ("GET /subscriptions/00000000-0000-0000-0000-000000000000", NONE, "404 SubscriptionNotFound"),
            ("GET S/resourcegroups/none", NONE, "404 ResourceGroupNotFound"),
            ("GET S/resourceGroups/none/C/virtualMachines/vm", NONE, "404 ResourceGroupNotFound"),
            ("GET S/resourceGroups/none/C/virtualMachines", NONE, "404 ResourceGroupNotFound"),
            ("GET S/resourceGroups/none/resources", NONE, "404 ResourceGroupNotFound"),
            ("DELETE S/resourceGroups/none/C/disks/d", NONE, "404 ResourceGroupNotFound"),
            ("PUT S/resourceGroups/none/N/virtualNetworks/vn", vnet(&["s"]), "404 ResourceGroupNotFound"),
            ("GET R/C/virtualMachines/none", NONE, "404 ResourceNotFound"),
            ("GET R/C/images/none", NONE, "404 ResourceNotFound"),
            ("GET R/C/disks/none", NONE, "404 ResourceNotFound"),
            ("PATCH R/C/disks/none", json!({ "tags": {} }), "404 ResourceNotFound"),
            ("POST R/C/virtualMachines/none/deallocate", NONE, "404 ResourceNotFound"),
            ("POST R/C/virtualMachines/vm/explode", NONE, "404 NotFound"),
            ("GET R/C/virtualMachines/vm/instanceView/more", NONE, "404 NotFound"),
            ("GET R/C/toasters/t", NONE, "404 InvalidResourceType"),
            ("GET R/providers/Contoso.Toast/toasters/t", NONE, "404 InvalidResourceNamespace"),
            ("GET S/providers/Contoso.Toast", NONE, "404 InvalidResourceNamespace"),
            ("GET S/nonsense", NONE, "404 NotFound"),
            // A path below a resource is not the resource.
            ("DELETE R/N/networkInterfaces/n/ipConfigurations/ipconfig", NONE, "404 NotFound"),
            ("DELETE R/C/disks/os/beginGetAccess", NONE, "404 NotFound"),
            ("PUT R/N/networkSecurityGroups/g/securityRules/r", located(json!({})), "404 NotFound"),
            ("GET R/N/networkSecurityGroups/g", NONE, "200"),
        ])
        .await;
}

#[tokio::test]
async fn verbs_that_a_path_does_not_have() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    cloud
        .table(&[
            ("PUT S/resourcegroups", json!({}), "405 MethodNotAllowed"),
            ("POST S/resources", json!({}), "405 MethodNotAllowed"),
            ("DELETE S", NONE, "405 MethodNotAllowed"),
            ("DELETE S/locations", NONE, "405 MethodNotAllowed"),
            ("DELETE S/providers/Microsoft.Compute", NONE, "405 MethodNotAllowed"),
            ("GET S/providers/Microsoft.Compute/register", NONE, "405 MethodNotAllowed"),
            ("PUT S/C/virtualMachines", json!({}), "405 MethodNotAllowed"),
            ("DELETE R/N/virtualNetworks", NONE, "405 MethodNotAllowed"),
            ("POST R/C/images/i", json!({}), "405 MethodNotAllowed"),
            ("POST S/C/locations/westeurope/publishers", NONE, "405 MethodNotAllowed"),
            ("HEAD R", NONE, "204"),
            ("HEAD R/N/virtualNetworks/vn", NONE, "204"),
            ("HEAD R/C/virtualMachines/VM", NONE, "204"),
            ("HEAD R/N/virtualNetworks/none", NONE, "404"),
            ("HEAD S/resourcegroups/none", NONE, "404"),
        ])
        .await;
}

#[tokio::test]
async fn bodies_that_are_none() {
    let cloud = Cloud::new().await;
    for path in [
        "R/N/virtualNetworks/vn",
        "R/C/virtualMachines/v",
        "R/C/images/i",
        "R/C/disks/d",
        "S/resourcegroups/g",
    ] {
        for body in [NONE, json!([]), json!("text")] {
            let answer = cloud.send(&format!("PUT {path}"), &body).await;
            assert_eq!(answer.short(), "400 InvalidRequestContent", "{path} {body}");
        }
        let bearer = format!("Bearer {}", cloud.token);
        let full = format!("PUT {}?api-version=2021-04-01", cloud.id("").trim_end_matches('/'));
        let answer = cloud.raw(&full, Bytes::from_static(b"{\"a\":"), &[("authorization", &bearer)]).await;
        assert_eq!(answer.short(), "400 InvalidRequestContent");
    }
}

#[tokio::test]
async fn ids_are_compared_without_case_and_answered_as_first_written() {
    let cloud = Cloud::new().await;
    cloud.given(&[("PUT R/N/virtualNetworks/MyNet", vnet(&["Sub"]))]).await;
    let wanted = cloud.id("N/virtualNetworks/MyNet");
    let upper = cloud.id("N/virtualNetworks/MYNET").to_uppercase();
    for path in [wanted.clone(), wanted.to_lowercase(), upper.replace("API-VERSION", "api-version")] {
        let answer = cloud.send(&format!("GET {path}"), &NONE).await;
        assert_eq!((answer.status, answer.body["id"].as_str()), (200, Some(wanted.as_str())), "{path}");
    }
    // A write in another case is the same resource.
    let answer = cloud.send(&format!("PUT {}", wanted.to_lowercase()), &vnet(&["Sub"])).await;
    assert_eq!((answer.status, answer.body["id"].as_str()), (200, Some(wanted.as_str())));
    let nic = cloud.id("N/virtualNetworks/mynet/subnets/SUB").to_lowercase();
    let nic =
        located(json!({ "ipConfigurations": [{ "name": "i", "properties": { "subnet": { "id": nic } } }] }));
    assert_eq!(cloud.send("PUT R/N/networkInterfaces/n", &nic).await.status, 201);
    assert_eq!(
        cloud.send("DELETE R/N/virtualNetworks/MYNET", &NONE).await.short(),
        "400 InUseSubnetCannotBeDeleted"
    );
    assert_eq!(cloud.send("GET R/N/virtualNetworks", &NONE).await.names(), ["MyNet"]);
}

#[tokio::test]
async fn etags_guard_writes() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    for (path, body) in
        [("R/N/virtualNetworks/vn", vnet(&["s"])), ("R/C/virtualMachines/vm", cloud.vm(json!({})))]
    {
        let found = cloud.send(&format!("GET {path}"), &NONE).await;
        let etag = found.header("etag").to_owned();
        assert_eq!(found.body["etag"], etag.as_str(), "{path}");
        let strong = etag.trim_start_matches("W/").to_owned();
        let put = format!("PUT {path}");
        let patch = format!("PATCH {path}");
        let tags = json!({ "tags": { "a": "b" } });
        for (request, body, name, value, wanted) in [
            (&put, &body, "if-none-match", "*", "412 PreconditionFailed"),
            (&put, &body, "if-match", "W/\"none\"", "412 PreconditionFailed"),
            (&patch, &tags, "if-match", "\"none\"", "412 PreconditionFailed"),
            (&put, &body, "if-match", etag.as_str(), "200"),
            // That was a write, so the old one is spent.
            (&patch, &tags, "if-match", strong.as_str(), "412 PreconditionFailed"),
            (&patch, &tags, "if-match", "*", "200"),
        ] {
            let answer = cloud.send_with(request, body, &[(name, value)]).await;
            assert_eq!(answer.short(), wanted, "{request} {name}: {value}");
            if answer.status == 412 {
                assert_eq!(answer.body["error"]["details"][0]["code"], "PreconditionFailedEtagMismatch");
            }
        }
        let now = cloud.send(&format!("GET {path}"), &NONE).await.header("etag").to_owned();
        assert_ne!(now, etag, "{path}");
        let answer = cloud.send_with(&patch, &tags, &[("if-match", now.trim_start_matches("W/"))]).await;
        assert_eq!(answer.status, 200, "weak and strong are the same here");
    }
    for (request, body, name, wanted) in [
        ("PUT R/N/virtualNetworks/new", vnet(&["s"]), "if-match", "412 PreconditionFailed"),
        ("PUT R/N/virtualNetworks/new", vnet(&["s"]), "if-none-match", "201"),
        ("DELETE R/N/virtualNetworks/none", NONE, "if-match", "204"),
        // Images and disks have no such guard.
        ("DELETE R/C/images/none", NONE, "if-match", "204"),
    ] {
        assert_eq!(cloud.send_with(request, &body, &[(name, "*")]).await.short(), wanted, "{request} {name}");
    }
}
