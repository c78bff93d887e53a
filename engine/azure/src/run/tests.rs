use std::sync::atomic::Ordering;
use std::time::Duration;

use fornax_core::Redactor;
use fornax_core::journal::{JournalState, Undone};
use fornax_core::saga::Undo;
use serde_json::json;

use self::bench::{Bench, Ssh, Work};
use super::*;
use crate::config::tests::node;
use crate::testing::cloud::Fault;

mod bench;

const IMAGE: &str = "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Compute/images/img1";

#[tokio::test(start_paused = true)]
async fn a_build_leaves_its_image_and_nothing_else() {
    let bench = Bench::new(json!({"azure_tags": {"team": "x"}, "disk_additional_size": [8]}));
    let outcome = bench.run().await;
    let artifact = outcome.artifact();
    assert_eq!(artifact.id, IMAGE);
    assert!(
        artifact.text.starts_with("Azure.ResourceManagement.VMImage:\n\nOSType: Linux\n"),
        "{}",
        artifact.text
    );
    assert!(artifact.text.contains("ManagedImageLocation: westeurope"));
    assert!(!artifact.simulated);
    assert_eq!(bench.cloud.names(), ["sub", "rg1", "img1"]);
    let image = bench.cloud.get(IMAGE).unwrap();
    assert_eq!(image["tags"], json!({"team": "x", "fornax-build-id": "build-1"}));
    assert_eq!(image["properties"]["hyperVGeneration"], "V2");
    assert!(outcome.took < Duration::from_millis(250), "{:?}", outcome.took);
    // The group goes once and whole.
    assert_eq!(bench.cloud.count("DELETE", "/"), 1, "{:#?}", bench.cloud.log());
    assert!(outcome.journal.trim_end().ends_with(r#""record":"closed"}"#), "{}", outcome.journal);
    let data = outcome.data.as_ref().unwrap();
    assert!(data["ID"].expose().contains("/virtualMachines/pkrvm"));
    assert_eq!(data["Host"].expose(), "127.9.9.9");
    assert_eq!((data["TenantID"].expose(), data["User"].expose()), ("t".into(), "packer".into()));
    assert!(data["SSHPrivateKey"].is_sensitive());
    let text = outcome.events.text();
    for line in [
        "Creating resource group ...",
        " -> Location          : 'westeurope'",
        " -> IP Address          : '127.9.9.9'",
        "Connected to SSH!",
        "Powering off machine ...",
        "Capturing image ...",
        "Resource group has been deleted.",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    assert!(!outcome.journal.contains("s3cr3t") && !text.contains("s3cr3t"));
}

#[tokio::test(start_paused = true)]
async fn a_group_of_the_users_gets_everything_taken_out_in_order() {
    let bench = Bench::new(json!({
        "location": null, "build_resource_group_name": "shared", "disk_additional_size": [8, 16],
        "managed_image_os_disk_snapshot_name": "snap", "managed_image_data_disk_snapshot_prefix": "data"
    }));
    bench.cloud.put_foreign("/subscriptions/sub/resourceGroups/shared", json!({"location": "westeurope"}));
    let foreign = "/subscriptions/sub/resourceGroups/shared/providers/Microsoft.Compute/disks/precious";
    bench.cloud.put_foreign(foreign, json!({}));
    let outcome = bench.run().await;
    outcome.artifact();
    let mut names = bench.cloud.names();
    names.sort_unstable();
    assert_eq!(names, ["data0", "data1", "img1", "precious", "rg1", "shared", "snap", "sub"]);
    let at = |part: &str| bench.cloud.position("DELETE", part).unwrap_or_else(|| panic!("{part}"));
    assert!(at("/virtualMachines/") < at("/networkInterfaces/"));
    for part in ["/publicIPAddresses/", "/virtualNetworks/", "/networkSecurityGroups/"] {
        assert!(at("/networkInterfaces/") < at(part));
    }
    assert_eq!(bench.cloud.count("DELETE", "resourceGroups/shared/"), 5, "{:#?}", bench.cloud.log());
    assert!(outcome.took < Duration::from_millis(250), "{:?}", outcome.took);
    assert!(outcome.events.text().contains("was not created by this build, not deleting"));
}

#[tokio::test(start_paused = true)]
async fn what_is_independent_is_made_at_the_same_time() {
    let bench = Bench::new(json!({}));
    bench.run().await.artifact();
    let log = bench.cloud.log();
    let puts: Vec<usize> = ["/publicIPAddresses/", "/virtualNetworks/", "/networkSecurityGroups/"]
        .iter()
        .map(|part| bench.cloud.position("PUT", part).unwrap())
        .collect();
    let (first, last) = (puts.iter().min().unwrap(), puts.iter().max().unwrap());
    assert_eq!(last - first, 2, "{log:#?}");
    assert!(bench.cloud.position("PUT", "/networkInterfaces/").unwrap() > *last);
}

#[tokio::test(start_paused = true)]
async fn all_problems_are_told_before_anything_is_made() {
    let bench = Bench::new(json!({
        "managed_image_resource_group_name": "nowhere", "vm_size": "Standard_B1t", "virtual_network_name": "net",
        "image_publisher": null, "image_offer": null, "image_sku": null, "custom_managed_image_name": "base",
        "custom_managed_image_resource_group_name": "rg1"
    }));
    let outcome = bench.run().await;
    let error = outcome.error();
    for part in [
        "nothing was created, because of 4 problems",
        "resource group \"nowhere\" (managed_image_resource_group_name) does not exist",
        "the source image \"base\" does not exist",
        "did you mean Standard_B1s?",
        "no virtual network \"net\"",
    ] {
        assert!(error.contains(part), "{part:?} is missing in\n{error}");
    }
    assert_eq!(bench.cloud.count("PUT", "/"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_existing_image_stays_unless_forced_and_until_the_new_one_is_ready() {
    let mut bench = Bench::new(json!({}));
    bench.cloud.put_foreign(IMAGE, json!({"tags": {"fornax-build-id": "older"}}));
    assert!(bench.run().await.error().contains("use the -force option"));
    assert_eq!(bench.cloud.count("PUT", "/"), 0);
    bench.force = true;
    bench.work = Work::Fails;
    assert_eq!(bench.run().await.error(), "the script failed");
    assert_eq!(bench.cloud.get(IMAGE).unwrap()["tags"]["fornax-build-id"], "older");
    bench.work = Work::Succeeds;
    bench.run().await.artifact();
    assert_eq!(bench.cloud.get(IMAGE).unwrap()["tags"]["fornax-build-id"], "build-1");
}

#[tokio::test(start_paused = true)]
async fn failures_and_cancellation_leave_nothing() {
    type Set = fn(&mut Bench);
    let cases: Vec<(&str, Set)> = vec![
        ("the script failed", |b| b.work = Work::Fails),
        ("cancelled", |b| b.work = Work::CancelsTheBuild),
        ("the virtual machine is running", |b| b.ssh = Ssh::Refuses),
        ("SkuNotAvailable", |b| b.cloud.fail("PUT /virtualmachines/", Fault::Refuse(409, "SkuNotAvailable"))),
        ("AllocationFailed", |b| {
            b.ssh = Ssh::Silent;
            b.cloud.fail("PUT /virtualmachines/", Fault::FailLater("AllocationFailed"));
        }),
        ("PublicIPCountLimitReached", |b| {
            b.cloud.fail("PUT /publicipaddresses/", Fault::Refuse(400, "PublicIPCountLimitReached"));
        }),
        ("OperationNotAllowed", |b| b.cloud.fail("PUT /images/", Fault::Refuse(409, "OperationNotAllowed"))),
        ("InternalError", |b| b.cloud.fail("PUT /images/", Fault::FailLater("InternalError"))),
        ("AuthorizationFailed", |b| {
            b.cloud.fail("PUT /resourcegroups/pkr", Fault::Refuse(403, "AuthorizationFailed"))
        }),
    ];
    for existing in [false, true] {
        for (message, set) in &cases {
            if existing && *message == "AuthorizationFailed" {
                continue;
            }
            let place = if existing {
                json!({"location": null, "build_resource_group_name": "rg1"})
            } else {
                json!({})
            };
            let mut bench = Bench::new(place);
            set(&mut bench);
            let outcome = bench.run().await;
            assert!(outcome.error().contains(message), "{message}: {}", outcome.error());
            assert!(outcome.outcome.as_ref().unwrap().remains.is_empty(), "{message}");
            assert_eq!(bench.cloud.names(), ["sub", "rg1"], "{message}, existing group: {existing}");
            assert!(outcome.journal.contains(r#""record":"closed""#), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_changing_calls_do_not_end_the_build() {
    for part in [
        "/resourcegroups/pkr",
        "/publicipaddresses/",
        "/virtualnetworks/",
        "/networkinterfaces/",
        "/virtualmachines/",
        "/images/",
    ] {
        for fault in [Fault::CutAfter, Fault::CutBefore] {
            let bench = Bench::new(json!({}));
            bench.cloud.fail(&format!("PUT {part}"), fault.clone());
            bench.cloud.fail("DELETE /resourcegroups/pkr", fault);
            bench.run().await.artifact();
            assert_eq!(bench.cloud.names(), ["sub", "rg1", "img1"], "{part}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_deleted_is_reported() {
    let bench = Bench::new(json!({}));
    bench.cloud.fail("DELETE /resourcegroups/pkr", Fault::Refuse(409, "ScopeLocked"));
    let outcome = bench.run().await.outcome.unwrap();
    assert!(outcome.result.is_ok());
    assert_eq!(outcome.remains.len(), 1);
    assert!(outcome.remains[0].reason.contains("remove it (az lock list"), "{}", outcome.remains[0].reason);
}

#[tokio::test(start_paused = true)]
async fn a_death_after_any_record_is_cleaned_up_by_another_process() {
    for existing in [false, true] {
        let place = || {
            if existing { json!({"location": null, "build_resource_group_name": "rg1"}) } else { json!({}) }
        };
        let records = Bench::new(place()).run().await.journal.lines().count();
        assert!(records > 10);
        let foreign = "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Compute/disks/precious";
        for after in 1..records {
            let mut bench = Bench::new(place());
            bench.cloud.put_foreign(foreign, json!({}));
            bench.die_after = Some(after);
            let outcome = bench.run().await;
            // Once undoing is recorded, the rest of the build may pass in the same breath; its records are lost.
            let undone = outcome.journal.contains(r#""record":"undo_done""#);
            assert!(outcome.outcome.is_none() || undone, "record {after}");
            let kept = outcome.journal.contains(r#""record":"kept""#);
            let remains = bench.cleanup(&outcome.journal).await;
            assert!(remains.is_empty(), "record {after}: {remains:?}");
            let mut names = bench.cloud.names();
            names.sort_unstable();
            let expected: &[&str] =
                if kept { &["img1", "precious", "rg1", "sub"] } else { &["precious", "rg1", "sub"] };
            assert_eq!(names, expected, "record {after}, existing group: {existing}\n{}", outcome.journal);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_with_masked_ids_is_undone_with_credentials_from_elsewhere() {
    let mut bench = Bench::new(json!({}));
    bench.die_after = Some(9);
    let outcome = bench.run().await;
    let journal = outcome.journal.replace("/subscriptions/sub/", "/subscriptions/<sensitive>/");
    let journal = journal.replace(r#""subscription_id":"sub""#, r#""subscription_id":"<sensitive>""#);
    let (state, _) = JournalState::replay(&journal).unwrap();
    let header = state.header().unwrap();
    let secret_only = |name: &str| (name == "ARM_CLIENT_SECRET").then(|| "secret".to_owned());
    let error =
        bench.factory().undo(header, None, &secret_only, Redactor::new(), None).err().unwrap().to_string();
    assert!(error.contains("ARM_SUBSCRIPTION_ID"), "{error}");
    bench.cloud.dead.store(false, Ordering::SeqCst);
    // The template knows it.
    let config = node(&bench.config);
    let undo = bench.factory().undo(header, Some(&config), &|_| None, Redactor::new(), None).unwrap();
    for entry in state.open_entries() {
        undo.undo(&entry.resource, entry.settled).await.unwrap();
    }
    assert_eq!(bench.cloud.names(), ["sub", "rg1"]);
    // Another subscription is never touched.
    let other = Resource::new("resource-group", "/subscriptions/other/resourceGroups/g", Lifetime::Temporary);
    assert!(undo.undo(&other, true).await.unwrap_err().message.contains("subscription other"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_journal_is_replaced_by_the_tag() {
    for existing in [false, true] {
        let place =
            if existing { json!({"location": null, "build_resource_group_name": "rg1"}) } else { json!({}) };
        let mut bench = Bench::new(place);
        let foreign =
            "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Network/publicIPAddresses/precious";
        bench.cloud.put_foreign(foreign, json!({"tags": {"fornax-build-id": "another"}}));
        bench.work = Work::CancelsTheBuild;
        bench.die_after = Some(16);
        bench.run().await;
        assert!(bench.cloud.names().len() > 5, "{:?}", bench.cloud.names());
        bench.cloud.dead.store(false, Ordering::SeqCst);
        // From the tags alone, without anything that the journal says.
        let sweep = bench.factory().sweep(Some(&node(&bench.config)), &|_| None, Redactor::new()).unwrap();
        let mut found = sweep.find().await.unwrap();
        assert_eq!(found.iter().map(|b| b.build_id.as_str()).collect::<Vec<_>>(), ["another", "build-1"]);
        let ours = found.pop().unwrap();
        assert_eq!(ours.process.as_deref(), Some("host.1.2"));
        let undo = sweep.undo("build-1", None);
        let again = undo.find_by_tag().await.unwrap();
        assert_eq!((&again.levels, &again.products), (&ours.levels, &ours.products));
        for resource in ours.levels.iter().flatten() {
            undo.undo(resource, true).await.unwrap();
        }
        assert!(undo.find_by_tag().await.unwrap().levels.is_empty());
        // Another build's resource is not touched, whoever hands it over.
        let precious = Resource::new("public-ip", foreign, Lifetime::Temporary);
        assert_eq!(undo.undo(&precious, true).await.unwrap(), Undone::NotOurs);
        assert_eq!(bench.cloud.names(), ["sub", "rg1", "precious"], "existing group: {existing}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_simulated_image_is_marked() {
    let mut bench = Bench::new(json!({}));
    bench.simulated = true;
    let outcome = bench.run().await;
    let artifact = outcome.artifact();
    assert_eq!(artifact.id, format!("simulated:{IMAGE}"));
    assert!(artifact.text.starts_with("Simulated: "));
    assert!(artifact.simulated && artifact.metadata["Simulated"] == true);
}

#[tokio::test(start_paused = true)]
async fn variants_of_the_build() {
    // No communicator, no image.
    let bench = Bench::new(json!({"communicator": "none", "skip_create_image": true}));
    let outcome = bench.run().await;
    assert!(matches!(outcome.outcome.as_ref().unwrap().result, Ok(None)));
    assert_eq!(outcome.data.as_ref().unwrap()["ConnType"].expose(), "none");
    assert_eq!(bench.cloud.names(), ["sub", "rg1"]);
    assert_eq!(bench.cloud.count("POST", "/generalize"), 0);

    // A private network of the user's, found by its name alone; a managed source image; a plan.
    let bench = Bench::new(json!({
        "virtual_network_name": "net", "image_publisher": null, "image_offer": null, "image_sku": null,
        "custom_managed_image_name": "base", "custom_managed_image_resource_group_name": "rg1",
        "plan_info": {"plan_name": "n", "plan_product": "o", "plan_publisher": "p"}
    }));
    bench.cloud.put_foreign(
        "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Network/virtualNetworks/net",
        json!({"location": "westeurope", "properties": {"subnets": [{"name": "s1"}]}}),
    );
    bench.cloud.put_foreign(
        "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Compute/images/base",
        json!({"location": "West Europe", "properties": {}}),
    );
    let outcome = bench.run().await;
    outcome.artifact();
    assert_eq!(outcome.data.as_ref().unwrap()["Host"].expose(), "10.0.0.4");
    assert_eq!(
        bench.cloud.count("PUT", "/publicIPAddresses/") + bench.cloud.count("PUT", "/virtualNetworks/"),
        0
    );
    assert_eq!(bench.cloud.get(IMAGE).unwrap()["tags"]["PlanInfo"], "n");

    // The OS disk is kept in the user's group.
    let bench = Bench::new(
        json!({"location": null, "build_resource_group_name": "rg1", "keep_os_disk": true, "temp_os_disk_name": "kept"}),
    );
    let outcome = bench.run().await;
    assert!(outcome.artifact().id.ends_with("/disks/kept"), "{}", outcome.artifact().id);
    assert!(outcome.artifact().text.contains("OSDiskUri: "));

    // Names that the user chose must be free.
    let bench = Bench::new(
        json!({"location": null, "build_resource_group_name": "rg1", "temp_compute_name": "taken"}),
    );
    bench.cloud.put_foreign(
        "/subscriptions/sub/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/taken",
        json!({}),
    );
    assert!(bench.run().await.error().contains("\"taken\" (temp_compute_name) exists already"));
    assert_eq!(bench.cloud.names(), ["sub", "rg1", "taken"]);
}
