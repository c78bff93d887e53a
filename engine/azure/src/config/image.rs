//! What the machine starts from, and what becomes of it: source image, plan, image and snapshots.

use fornax_core::Diagnostic;

use super::checks::{conflict, missing, one_of};
use super::reader::Reader;
use super::{Config, ImageName, Place, Source, naming};
use crate::client::Plan;

pub fn check_os(r: &mut Reader) {
    match r.word("os_type") {
        None => missing(r, "os_type", "it says what the machine runs", "write \"os_type\": \"Linux\""),
        Some(word) if word.value.eq_ignore_ascii_case("linux") => {}
        Some(word) if word.value.eq_ignore_ascii_case("windows") => {
            r.push(
                word.error("azure/not-supported-yet", "os_type \"Windows\" is not supported yet")
                    .help("only Linux images can be built"),
            );
        }
        Some(word) => r.push(
            word.error("azure/invalid-value", format!("\"os_type\" can't be \"{}\"", word.shown))
                .help("write \"Linux\""),
        ),
    }
}

pub fn source(r: &mut Reader) -> Option<Source> {
    const MARKETPLACE: [&str; 3] = ["image_publisher", "image_offer", "image_sku"];
    const MANAGED: [&str; 2] = ["custom_managed_image_name", "custom_managed_image_resource_group_name"];
    let given = |r: &Reader, keys: &[&str]| keys.iter().any(|k| r.is_set(k));
    let marketplace = given(r, &MARKETPLACE) || r.is_set("image_version");
    let managed = given(r, &MANAGED);
    let other = r.is_set("image_url") || r.is_set("shared_image_gallery");
    if (marketplace || other) && managed {
        let help = "keep either image_publisher, image_offer and image_sku or custom_managed_image_name and \
                    custom_managed_image_resource_group_name";
        let key = MANAGED.iter().find(|k| r.is_set(k)).unwrap_or(&MANAGED[0]);
        conflict(r, key, "two source images are given", help);
        return None;
    }
    if managed {
        let help = "a managed image is named by custom_managed_image_name and \
                    custom_managed_image_resource_group_name together";
        for key in MANAGED {
            if !r.is_set(key) {
                missing(r, key, "it names the source image", help);
            }
        }
        return Some(Source::Managed { name: r.string(MANAGED[0])?, group: r.string(MANAGED[1])? });
    }
    // One that is not supported yet was reported.
    if other {
        return None;
    }
    let help = "a marketplace image is named by image_publisher, image_offer and image_sku, a managed image by \
                custom_managed_image_name and custom_managed_image_resource_group_name";
    if !marketplace && !MARKETPLACE.iter().chain(&MANAGED).any(|key| r.is_told(key)) {
        let summary = "nothing says which image the machine starts from";
        r.push(Diagnostic::error("azure/missing-option", summary).at(&r.span()).help(help));
        return None;
    }
    for key in MARKETPLACE {
        if !r.is_set(key) {
            missing(r, key, "it names the source image", help);
        }
    }
    Some(Source::Marketplace {
        publisher: r.string(MARKETPLACE[0])?,
        offer: r.string(MARKETPLACE[1])?,
        sku: r.string(MARKETPLACE[2])?,
        version: r.string("image_version").unwrap_or_else(|| "latest".into()),
    })
}

pub fn plan(r: &mut Reader) -> Option<Plan> {
    let block = r.objects("plan_info").into_iter().next_back()?;
    let mut within = r.within("plan_info", block);
    for member in block.members() {
        let known = ["plan_name", "plan_product", "plan_publisher", "plan_promotion_code"];
        if !known.iter().any(|k| k.eq_ignore_ascii_case(&member.key)) {
            let near = fornax_core::diagnostic::nearest(&member.key, known);
            let help = near
                .map_or_else(|| format!("it has {}", known.join(", ")), |n| format!("did you mean \"{n}\"?"));
            within.misspelt.extend(near.map(str::to_owned));
            let summary = format!("plan_info has no option \"{}\"", member.key);
            within.push(Diagnostic::error("azure/unknown-option", summary).at(&member.key_span).help(help));
        }
    }
    let (name, product, publisher) =
        (within.string("plan_name"), within.string("plan_product"), within.string("plan_publisher"));
    let promotion_code = within.string("plan_promotion_code");
    if name.is_none() && product.is_none() && publisher.is_none() && promotion_code.is_none() {
        return None;
    }
    let parts = [("plan_name", &name), ("plan_product", &product), ("plan_publisher", &publisher)];
    for (key, value) in parts {
        if value.is_none() {
            missing(
                &mut within,
                key,
                "a plan has name, product and publisher",
                "take all three from the source image",
            );
        }
    }
    Some(Plan { name: name?, product: product?, publisher: publisher?, promotion_code })
}

pub fn destination(r: &mut Reader, skip: bool) -> Option<ImageName> {
    let name = r.word("managed_image_name");
    let group = r.word("managed_image_resource_group_name");
    let elsewhere = r.is_set("shared_image_gallery_destination") || r.is_set("capture_container_name");
    match (&name, &group) {
        (None, None) => {
            if !skip && !elsewhere {
                let help = "give managed_image_name and managed_image_resource_group_name";
                missing(r, "managed_image_name", "nothing says what the image is called", help);
            }
        }
        (None, Some(_)) => missing(
            r,
            "managed_image_name",
            "managed_image_resource_group_name is useless without it",
            "say what the image is called",
        ),
        (Some(_), None) => missing(
            r,
            "managed_image_resource_group_name",
            "it says where managed_image_name will be",
            "name a resource group that exists",
        ),
        (Some(_), Some(_)) => {}
    }
    let name = naming::IMAGE.check(name, r.found);
    let group = naming::RESOURCE_GROUP.check(group, r.found);
    Some(ImageName { name: name?, group: group? })
}

pub fn keep_os_disk(r: &mut Reader) -> bool {
    let keep = r.flag("keep_os_disk");
    if keep && !r.is_set("build_resource_group_name") {
        let diagnostic = Diagnostic::error(
            "azure/not-supported-yet",
            "\"keep_os_disk\" is not supported with a temporary resource group",
        )
        .at(&r.key_span("keep_os_disk"))
        .detail("The disk would be deleted together with the group.")
        .help("build in a group of yours: build_resource_group_name");
        r.push(diagnostic);
    }
    keep
}

pub fn license_type(r: &mut Reader) -> Option<String> {
    // Those of Windows are checked as well, so that its templates get one message and not two.
    let windows = r.string("os_type").is_some_and(|os| os.eq_ignore_ascii_case("windows"));
    let words: &[&str] =
        if windows { &["Windows_Client", "Windows_Server"] } else { &["RHEL_BYOS", "SLES_BYOS"] };
    one_of(r, "license_type", words)
}

/// An image in the build's own group would be deleted together with it.
pub fn check_groups(r: &mut Reader, config: &Config) {
    if let (Some(image), Place::Temporary { group: Some(group), .. }) = (&config.image, &config.place)
        && image.group.eq_ignore_ascii_case(group)
    {
        let summary = "the image can't be in temp_resource_group_name: that group is deleted after the build";
        conflict(r, "managed_image_resource_group_name", summary, "name another group, which must exist");
    }
}

pub fn check_snapshots(r: &mut Reader, config: &Config) {
    for key in ["managed_image_os_disk_snapshot_name", "managed_image_data_disk_snapshot_prefix"] {
        if r.is_set(key) && (config.image.is_none() || config.skip_create_image) && !r.found.has_errors() {
            conflict(
                r,
                key,
                format!("\"{key}\" needs a managed image"),
                "give managed_image_name and its group",
            );
        }
    }
}
