//! Resource groups, tags, lists and their filters.

use std::collections::BTreeMap;

use fornax_simulator::Latency;
use serde_json::{Value, json};

use crate::bench::{Cloud, NONE, address, located, long, vnet};

fn group(location: &str, tags: Value) -> Value {
    json!({ "location": location, "tags": tags })
}

#[tokio::test]
async fn a_group_lives() {
    let cloud = Cloud::new().await;
    cloud
        .table(&[
            ("PUT S/resourcegroups/g", group("West US 2", json!({ "a": "1" })), "201"),
            ("PUT S/resourceGroups/G", group("westus2", json!({ "a": "1" })), "200"),
            ("PUT S/resourcegroups/g", group("westeurope", NONE), "409 InvalidResourceGroupLocation"),
            ("PUT S/resourcegroups/h", group("atlantis", NONE), "400 LocationNotAvailableForResourceType"),
            ("PUT S/resourcegroups/h", json!({ "tags": {} }), "400 LocationRequired"),
            ("PUT S/resourcegroups/h.", group("westus2", NONE), "400 InvalidParameter"),
            ("PATCH S/resourcegroups/g", json!({ "tags": { "b": "2" } }), "200"),
            ("PATCH S/resourcegroups/none", json!({}), "404 ResourceGroupNotFound"),
            ("DELETE S/resourcegroups/none", NONE, "404 ResourceGroupNotFound"),
        ])
        .await;
    let found = cloud.send("GET S/resourcegroups/g", &NONE).await;
    assert_eq!(found.body["location"], "westus2");
    assert_eq!(found.body["type"], "Microsoft.Resources/resourceGroups");
    assert_eq!(found.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(found.body["tags"], json!({ "b": "2" }));
    cloud
        .table(&[
            ("DELETE S/resourcegroups/g", NONE, "202"),
            ("GET S/resourcegroups/g", NONE, "404 ResourceGroupNotFound"),
        ])
        .await;
}

#[tokio::test]
async fn a_group_takes_everything_with_it() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    assert!(cloud.simulator.inventory().len() > 6);
    cloud
        .table(&[
            ("DELETE R", NONE, "202"),
            ("GET R/C/virtualMachines/vm", NONE, "404 ResourceGroupNotFound"),
        ])
        .await;
    assert_eq!(cloud.simulator.inventory(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_being_deleted_takes_no_writes() {
    let cloud = Cloud::with(json!({}), json!([]), Latency::Azure).await;
    cloud
        .table(&[
            ("PUT S/resourcegroups/g", group("westeurope", NONE), "201"),
            ("PUT S/resourceGroups/g/N/publicIPAddresses/p", address(), "201"),
            ("DELETE S/resourcegroups/g", NONE, "202"),
            ("PUT S/resourceGroups/g/N/publicIPAddresses/q", address(), "409 ResourceGroupBeingDeleted"),
            ("PUT S/resourcegroups/g", group("westeurope", NONE), "409 ResourceGroupBeingDeleted"),
            ("PATCH S/resourcegroups/g", json!({ "tags": {} }), "409 ResourceGroupBeingDeleted"),
            ("GET S/resourceGroups/g/N/publicIPAddresses/p", NONE, "200"),
            // Asking twice joins the first.
            ("DELETE S/resourcegroups/g", NONE, "202"),
        ])
        .await;
    let shown = cloud.send("GET S/resourcegroups/g", &NONE).await;
    assert_eq!(shown.body["properties"]["provisioningState"], "Deleting");
    long().await;
    cloud
        .table(&[
            ("GET S/resourcegroups/g", NONE, "404 ResourceGroupNotFound"),
            ("PUT S/resourcegroups/g", group("westus2", NONE), "201"),
        ])
        .await;
    long().await;
    cloud.table(&[("GET S/resourcegroups/g", NONE, "200")]).await;
}

#[tokio::test]
async fn a_group_whose_network_is_used_from_outside_stays() {
    let cloud = Cloud::new().await;
    let mut nic = cloud.nic("s", None, None);
    let subnet = cloud.id("N/virtualNetworks/vn/subnets/s").replace("/images/", "/net/");
    nic["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"] = json!(subnet);
    cloud
        .table(&[
            ("PUT S/resourcegroups/net", group("westeurope", NONE), "201"),
            ("PUT S/resourceGroups/net/N/virtualNetworks/vn", vnet(&["s"]), "201"),
            ("PUT R/N/networkInterfaces/n", nic, "201"),
            ("DELETE S/resourcegroups/net", NONE, "409 ResourceGroupDeletionBlocked"),
            ("GET S/resourceGroups/net/N/virtualNetworks/vn", NONE, "200"),
            ("DELETE R/N/networkInterfaces/n", NONE, "202"),
            ("DELETE S/resourcegroups/net", NONE, "202"),
            ("GET S/resourcegroups/net", NONE, "404 ResourceGroupNotFound"),
        ])
        .await;
}

#[tokio::test]
async fn tags_have_limits() {
    let cloud = Cloud::new().await;
    let many =
        |count: usize| (0..count).map(|n| (format!("t{n}"), "x".to_owned())).collect::<BTreeMap<_, _>>();
    let tag = |name: &str, value: Value| json!({ name: value });
    for (tags, wanted) in [
        (json!(many(50)), "ok"),
        (json!(many(51)), "400 InvalidTags"),
        (tag(&"n".repeat(512), json!("x")), "ok"),
        (tag(&"n".repeat(513), json!("x")), "400 InvalidTagNameTooLong"),
        (tag("", json!("x")), "400 InvalidTagNameTooLong"),
        (tag("a/b", json!("x")), "400 InvalidTagNameCharacters"),
        (tag("a%", json!("x")), "400 InvalidTagNameCharacters"),
        (tag("a", json!("v".repeat(256))), "ok"),
        (tag("a", json!("v".repeat(257))), "400 InvalidTagValueTooLong"),
        (tag("a", json!(1)), "400 InvalidRequestContent"),
        (json!([]), "400 InvalidRequestContent"),
    ] {
        let mut body = vnet(&["s"]);
        body["tags"] = tags.clone();
        let group = group("westeurope", tags);
        for (request, body) in [("PUT S/resourcegroups/g", &group), ("PUT R/N/virtualNetworks/vn", &body)] {
            let answer = cloud.send(request, body).await;
            let short = if answer.status < 300 { "ok".to_owned() } else { answer.short() };
            assert_eq!(short, wanted, "{request} {}", body["tags"]);
        }
    }
}

#[tokio::test]
async fn patch_replaces_the_tags_of_a_resource_and_nothing_else() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    for path in [
        "N/virtualNetworks/vn",
        "N/publicIPAddresses/p",
        "N/networkInterfaces/n",
        "C/virtualMachines/vm",
        "C/disks/os",
    ] {
        let before = cloud.send(&format!("GET R/{path}"), &NONE).await.body;
        for (body, wanted) in [
            (json!({ "tags": { "a": "1" } }), json!({ "a": "1" })),
            (json!({ "tags": { "b": "2" } }), json!({ "b": "2" })),
            (json!({}), json!({ "b": "2" })),
            (json!({ "tags": {} }), NONE),
        ] {
            let answer = cloud.send(&format!("PATCH R/{path}"), &body).await;
            assert_eq!((answer.status, &answer.body["tags"]), (200, &wanted), "{path} {body}");
            assert_eq!(answer.body["properties"], before["properties"], "{path}");
        }
    }
}

#[tokio::test]
async fn lists_are_filtered() {
    let cloud = Cloud::new().await;
    let tagged = |mut body: Value, tags: Value| {
        body["tags"] = tags;
        body
    };
    cloud
        .table(&[
            (
                "PUT S/resourcegroups/g1",
                group("westeurope", json!({ "Owner": "me", "it's": "a and b" })),
                "201",
            ),
            ("PUT S/resourcegroups/g2", group("westus2", json!({ "owner": "you" })), "201"),
            (
                "PUT S/resourceGroups/g1/N/virtualNetworks/vn",
                tagged(vnet(&["s"]), json!({ "owner": "me" })),
                "201",
            ),
            (
                "PUT S/resourceGroups/g2/N/publicIPAddresses/p",
                tagged(address(), json!({ "owner": "you" })),
                "201",
            ),
            ("PUT S/resourceGroups/g2/N/networkSecurityGroups/n", located(json!({})), "201"),
        ])
        .await;
    for (path, filter, wanted) in [
        ("S/resourcegroups", "", &["g1", "g2", "images"][..]),
        ("S/resourcegroups", "tagName eq 'owner'", &["g1", "g2"]),
        ("S/resourcegroups", "tagName eq 'OWNER' and tagValue eq 'me'", &["g1"]),
        ("S/resourcegroups", "tagName eq 'owner' and tagValue eq 'ME'", &[]),
        ("S/resourcegroups", "tagName eq 'it''s' and tagValue eq 'a and b'", &["g1"]),
        ("S/resources", "", &["vn", "n", "p"]),
        ("S/resources", "tagName eq 'owner'", &["vn", "p"]),
        ("S/resources", "tagName eq 'owner' and tagValue eq 'you'", &["p"]),
        ("S/resources", "resourceType eq 'microsoft.network/VIRTUALNETWORKS'", &["vn"]),
        ("S/resources", "name eq 'n'", &["n"]),
        ("S/resources", "location eq 'West Europe'", &["vn", "n", "p"]),
        ("S/resources", "location eq 'westus2'", &[]),
        ("S/resourceGroups/G2/resources", "tagName eq 'owner'", &["p"]),
        ("S/resourceGroups/images/resources", "", &[]),
        ("S/N/virtualNetworks", "", &["vn"]),
        ("S/resourceGroups/g2/N/virtualNetworks", "", &[]),
    ] {
        let query = if filter.is_empty() { String::new() } else { format!("?$filter={filter}") };
        let answer = cloud.send(&format!("GET {path}{query}"), &NONE).await;
        assert_eq!((answer.status, answer.names().as_slice()), (200, wanted), "{path} {filter}");
    }
    for filter in ["tagName ne 'x'", "tagValue eq 'me'", "tagName eq owner", "colour eq 'red'"] {
        for path in ["S/resourcegroups", "S/resources"] {
            let answer = cloud.send(&format!("GET {path}?$filter={filter}"), &NONE).await;
            assert_eq!(answer.short(), "400 InvalidFilterInQueryString", "{path} {filter}");
        }
    }
    // A list by name and value of a tag leaves the tags out; a list by name alone shows them.
    for (filter, wanted) in [
        ("tagName eq 'owner' and tagValue eq 'you'", NONE),
        ("tagName eq 'owner'", json!({ "owner": "you" })),
        ("name eq 'p'", json!({ "owner": "you" })),
    ] {
        let answer = cloud.send(&format!("GET S/resourceGroups/g2/resources?$filter={filter}"), &NONE).await;
        assert_eq!(answer.body["value"][0]["tags"], wanted, "{filter}");
    }
    let answer =
        cloud.send("GET S/resourcegroups?$filter=tagName eq 'owner' and tagValue eq 'you'", &NONE).await;
    assert_eq!(
        answer.body["value"][0]["tags"],
        json!({ "owner": "you" }),
        "lists of groups show them always"
    );
}
