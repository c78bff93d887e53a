//! Networks, addresses, interfaces, security groups: names, references, and who keeps whom from being deleted.

use serde_json::{Value, json};

use crate::bench::{Cloud, NONE, address, located, vnet};

fn label(label: &str) -> Value {
    let mut body = address();
    body["properties"]["dnsSettings"] = json!({ "domainNameLabel": label });
    body
}

fn rules(rules: &[(&str, u64, &str)]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(name, priority, direction)| {
            json!({ "name": name, "properties": { "priority": priority, "direction": direction } })
        })
        .collect();
    located(json!({ "securityRules": rules }))
}

fn subnets(list: &[(&str, &str)]) -> Value {
    let list: Vec<Value> = list
        .iter()
        .map(|(name, prefix)| json!({ "name": name, "properties": { "addressPrefix": prefix } }))
        .collect();
    located(
        json!({ "addressSpace": { "addressPrefixes": ["10.0.0.0/16", "192.168.0.0/24"] }, "subnets": list }),
    )
}

#[tokio::test]
async fn names_follow_the_table() {
    let cloud = Cloud::new().await;
    let long = "n".repeat(81);
    let common = |name: &str| matches!(name, "a" | "a1_" | "A-b.c_");
    for (kind, body) in [("publicIPAddresses", address()), ("networkSecurityGroups", located(json!({})))] {
        for name in ["a", "a1_", "A-b.c_", "-a", "_a", "a-", "a.", "a b", "a+", &long] {
            let answer = cloud.send(&format!("PUT R/N/{kind}/{name}"), &body).await;
            let wanted = if common(name) { "201" } else { "400 InvalidResourceName" };
            assert_eq!(answer.short(), wanted, "{kind} {name}");
        }
    }
    for (name, wanted) in [("v", "400 InvalidResourceName"), ("v1", "201"), ("v-", "400 InvalidResourceName")]
    {
        assert_eq!(
            cloud.send(&format!("PUT R/N/virtualNetworks/{name}"), &vnet(&["s"])).await.short(),
            wanted,
            "{name}"
        );
    }
}

#[tokio::test]
async fn networks_and_subnets() {
    let cloud = Cloud::new().await;
    cloud
        .table(&[
            ("PUT R/N/virtualNetworks/vn", located(json!({})), "400 InvalidParameter"),
            ("PUT R/N/virtualNetworks/vn", subnets(&[]), "201"),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("a", "10.0.0.0/24"), ("b", "192.168.0.0/29")]), "200"),
            (
                "PUT R/N/virtualNetworks/vn",
                subnets(&[("a", "10.0.0.0/24"), ("b", "10.0.0.128/25")]),
                "400 NetcfgSubnetRangesOverlap",
            ),
            (
                "PUT R/N/virtualNetworks/vn",
                subnets(&[("a", "10.0.0.0/24"), ("A", "10.0.1.0/24")]),
                "400 DuplicateResourceName",
            ),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("a", "10.1.0.0/24")]), "400 NetcfgInvalidSubnet"),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("a", "10.0.0.0/30")]), "400 NetcfgInvalidSubnet"),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("a", "10.0.0.0")]), "400 InvalidCIDRNotation"),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("a-", "10.0.0.0/24")]), "400 InvalidResourceName"),
            ("GET R/N/virtualNetworks/vn/subnets/B", NONE, "200"),
            ("GET R/N/virtualNetworks/vn/subnets/c", NONE, "404 ResourceNotFound"),
            ("GET R/N/virtualNetworks/none/subnets/a", NONE, "404 ResourceNotFound"),
        ])
        .await;
    assert_eq!(cloud.send("GET R/N/virtualNetworks/vn/subnets", &NONE).await.names(), ["a", "b"]);
}

#[tokio::test]
async fn a_subnet_that_is_left_out_goes_unless_it_is_used() {
    let cloud = Cloud::new().await;
    cloud
        .given(&[
            ("PUT R/N/virtualNetworks/vn", vnet(&["s", "t"])),
            ("PUT R/N/networkInterfaces/n", cloud.nic("s", None, None)),
        ])
        .await;
    cloud
        .table(&[
            (
                "PUT R/N/virtualNetworks/vn",
                subnets(&[("t", "10.0.1.0/24")]),
                "400 InUseSubnetCannotBeDeleted",
            ),
            ("PUT R/N/virtualNetworks/vn", subnets(&[("s", "10.0.0.0/24")]), "200"),
            ("GET R/N/virtualNetworks/vn/subnets/t", NONE, "404 ResourceNotFound"),
            ("DELETE R/N/virtualNetworks/vn", NONE, "400 InUseSubnetCannotBeDeleted"),
            ("DELETE R/N/networkInterfaces/n", NONE, "202"),
            ("DELETE R/N/virtualNetworks/vn", NONE, "202"),
            ("GET R/N/virtualNetworks/vn", NONE, "404 ResourceNotFound"),
            ("DELETE R/N/virtualNetworks/vn", NONE, "204"),
        ])
        .await;
}

#[tokio::test]
async fn addresses() {
    let seed = json!({ "quota": [{ "name": "PublicIPAddresses", "limit": 3, "location": "westeurope" }] });
    let cloud = Cloud::with(seed, json!([]), fornax_simulator::Latency::Instant).await;
    let mut dynamic = address();
    dynamic["properties"]["publicIPAllocationMethod"] = "Dynamic".into();
    let mut basic = dynamic.clone();
    basic["sku"]["name"] = "Basic".into();
    let mut elsewhere = address();
    elsewhere["location"] = "westus2".into();
    cloud
        .table(&[
            ("PUT R/N/publicIPAddresses/p", dynamic, "400 PublicIPAllocationMethodNotAllowed"),
            ("PUT R/N/publicIPAddresses/p", label("Capital"), "400 InvalidDomainNameLabel"),
            ("PUT R/N/publicIPAddresses/p", label("ab"), "400 InvalidDomainNameLabel"),
            ("PUT R/N/publicIPAddresses/p", label("pkr-1"), "201"),
            ("PUT R/N/publicIPAddresses/p", label("pkr-1"), "200"),
            ("PUT R/N/publicIPAddresses/q", label("pkr-1"), "400 DnsRecordInUse"),
            ("PUT R/N/publicIPAddresses/q", label("pkr-2"), "201"),
            ("PUT R/N/publicIPAddresses/p", elsewhere.clone(), "409 InvalidResourceLocation"),
            ("PUT R/N/publicIPAddresses/b", basic, "201"),
            ("PUT R/N/publicIPAddresses/r", address(), "400 PublicIPCountLimitReached"),
            ("PUT R/N/publicIPAddresses/r", elsewhere, "201"),
            ("PUT R/N/publicIPAddresses/p", label("pkr-1"), "200"),
            ("DELETE R/N/publicIPAddresses/b", NONE, "202"),
            ("PUT R/N/publicIPAddresses/s", address(), "201"),
        ])
        .await;
    let found = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.body;
    assert_eq!(found["properties"]["dnsSettings"]["fqdn"], "pkr-1.westeurope.cloudapp.azure.com");
    let usage = cloud.send("GET S/N/locations/westeurope/usages", &NONE).await.body;
    let public =
        usage["value"].as_array().unwrap().iter().find(|u| u["name"]["value"] == "PublicIPAddresses");
    assert_eq!(public.map(|u| (&u["currentValue"], &u["limit"])), Some((&json!(3), &json!(3))));
}

#[tokio::test]
async fn interfaces_refer_to_what_exists() {
    let cloud = Cloud::new().await;
    cloud
        .given(&[("PUT R/N/virtualNetworks/vn", vnet(&["s"])), ("PUT R/N/publicIPAddresses/p", address())])
        .await;
    let mut elsewhere = cloud.nic("s", None, None);
    elsewhere["location"] = "westus2".into();
    let mut wrong = cloud.nic("s", None, None);
    wrong["properties"]["networkSecurityGroup"] = json!({ "id": cloud.id("N/publicIPAddresses/p") });
    cloud
        .table(&[
            ("PUT R/N/networkInterfaces/n", cloud.nic("none", None, None), "400 InvalidResourceReference"),
            (
                "PUT R/N/networkInterfaces/n",
                cloud.nic("s", Some("none"), None),
                "400 InvalidResourceReference",
            ),
            (
                "PUT R/N/networkInterfaces/n",
                cloud.nic("s", None, Some("none")),
                "400 InvalidResourceReference",
            ),
            ("PUT R/N/networkInterfaces/n", elsewhere, "400 InvalidResourceReference"),
            ("PUT R/N/networkInterfaces/n", wrong, "400 InvalidParameter"),
            (
                "PUT R/N/networkInterfaces/n",
                located(json!({ "ipConfigurations": [] })),
                "400 InvalidParameter",
            ),
            ("PUT R/N/networkInterfaces/n", located(json!({})), "400 InvalidParameter"),
            ("PUT R/N/networkInterfaces/n", cloud.nic("s", Some("p"), None), "201"),
            ("PUT R/N/networkInterfaces/m", cloud.nic("s", Some("p"), None), "400 PublicIPAddressInUse"),
            ("PUT R/N/networkInterfaces/n", cloud.nic("s", Some("p"), None), "200"),
        ])
        .await;
    let address = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.body;
    let wanted = cloud.id("N/networkInterfaces/n/ipConfigurations/ipconfig");
    assert_eq!(address["properties"]["ipConfiguration"]["id"], wanted);
}

#[tokio::test]
async fn private_addresses_are_unique_and_stay() {
    let cloud = Cloud::new().await;
    let private = |body: &Value| {
        body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    cloud
        .given(&[("PUT R/N/virtualNetworks/vn", subnets(&[("s", "10.0.0.0/24"), ("t", "10.0.7.0/29")]))])
        .await;
    let put = |name: &'static str, subnet: &'static str| {
        let cloud = &cloud;
        async move {
            private(
                &cloud
                    .send(&format!("PUT R/N/networkInterfaces/{name}"), &cloud.nic(subnet, None, None))
                    .await
                    .body,
            )
        }
    };
    assert_eq!(put("a", "s").await, "10.0.0.4");
    assert_eq!(put("b", "s").await, "10.0.0.5");
    cloud.given(&[("DELETE R/N/networkInterfaces/a", NONE)]).await;
    assert_eq!(put("b", "s").await, "10.0.0.5", "it keeps what it has");
    assert_eq!(put("c", "s").await, "10.0.0.4");
    assert_eq!(put("d", "s").await, "10.0.0.6");
    for (name, wanted) in [("e", "10.0.7.4"), ("f", "10.0.7.5"), ("g", "10.0.7.6")] {
        assert_eq!(put(name, "t").await, wanted);
    }
    let mut fixed = cloud.nic("s", None, None);
    fixed["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = "10.0.0.5".into();
    cloud
        .table(&[
            ("PUT R/N/networkInterfaces/h", cloud.nic("t", None, None), "400 SubnetIsFull"),
            ("PUT R/N/networkInterfaces/h", fixed, "400 PrivateIPAddressInUse"),
        ])
        .await;
}

#[tokio::test]
async fn security_rules() {
    let cloud = Cloud::new().await;
    let both = [("a", 100, "Inbound"), ("b", 100, "Outbound"), ("c", 4096, "Inbound")];
    cloud
        .table(&[
            ("PUT R/N/networkSecurityGroups/g", rules(&both), "201"),
            (
                "PUT R/N/networkSecurityGroups/g",
                rules(&[("a", 99, "Inbound")]),
                "400 SecurityRuleInvalidPriority",
            ),
            (
                "PUT R/N/networkSecurityGroups/g",
                rules(&[("a", 4097, "Inbound")]),
                "400 SecurityRuleInvalidPriority",
            ),
            (
                "PUT R/N/networkSecurityGroups/g",
                rules(&[("a", 100, "Inbound"), ("b", 100, "inbound")]),
                "400 SecurityRuleConflict",
            ),
        ])
        .await;
    let found = cloud.send("GET R/N/networkSecurityGroups/g", &NONE).await.body;
    assert_eq!(
        found["properties"]["securityRules"].as_array().map(Vec::len),
        Some(3),
        "a refused write changes nothing"
    );
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let cloud = Cloud::new().await;
    cloud.with_machine().await;
    let mut guarded = vnet(&["t"]);
    guarded["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] =
        json!({ "id": cloud.id("N/networkSecurityGroups/h") });
    cloud
        .table(&[
            ("DELETE R/N/networkInterfaces/n", NONE, "400 NicInUse"),
            ("DELETE R/N/publicIPAddresses/p", NONE, "400 PublicIPAddressCannotBeDeleted"),
            ("DELETE R/N/networkSecurityGroups/g", NONE, "400 InUseNetworkSecurityGroupCannotBeDeleted"),
            ("DELETE R/N/virtualNetworks/vn", NONE, "400 InUseSubnetCannotBeDeleted"),
            ("DELETE R/C/disks/os", NONE, "409 OperationNotAllowed"),
            ("PUT R/N/networkSecurityGroups/h", located(json!({})), "201"),
            ("PUT R/N/virtualNetworks/w2", guarded, "201"),
            ("DELETE R/N/networkSecurityGroups/h", NONE, "400 InUseNetworkSecurityGroupCannotBeDeleted"),
            // From the top down it works.
            ("DELETE R/C/virtualMachines/vm", NONE, "202"),
            ("DELETE R/C/disks/os", NONE, "204"),
            ("DELETE R/N/networkInterfaces/n", NONE, "202"),
            ("DELETE R/N/publicIPAddresses/p", NONE, "202"),
            ("DELETE R/N/networkSecurityGroups/g", NONE, "202"),
            ("DELETE R/N/virtualNetworks/vn", NONE, "202"),
            ("DELETE R/N/networkInterfaces/n", NONE, "204"),
            ("DELETE R/N/publicIPAddresses/p", NONE, "204"),
        ])
        .await;
}

#[tokio::test]
async fn writing_twice_is_one_resource() {
    let cloud = Cloud::new().await;
    cloud.given(&[("PUT R/N/publicIPAddresses/p", address())]).await;
    let first = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.body;
    let born = cloud.simulator.inventory().pop().unwrap()["createdAt"].clone();
    cloud.table(&[("PUT R/N/publicIPAddresses/p", address(), "200")]).await;
    let second = cloud.send("GET R/N/publicIPAddresses/p", &NONE).await.body;
    assert_eq!(first["properties"], second["properties"], "the address stays");
    assert_eq!(cloud.simulator.inventory().pop().unwrap()["createdAt"], born);
}
