//! Holds the committed code against the proto files.
#![cfg(test)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;
use protox::prost_reflect::{DescriptorPool, FileDescriptor};

/// The proto files, below `proto/`.
const FILES: [&str; 6] = [
    "accelbyte/iam/account/v1/account.proto",
    "accelbyte/social/statistic/v1/statistic.proto",
    "gauntlet/events/v1/events.proto",
    "gauntlet/service.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

#[test]
fn the_committed_code_is_what_the_proto_files_say() {
    let (expected, committed) = (generate(), committed());
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        committed.keys().collect::<Vec<_>>(),
        "src/generated has other files than the generator writes: {HINT}"
    );
    for (name, text) in &expected {
        // Not assert_eq: a difference would print two whole files.
        assert!(*text == committed[name], "src/generated/{name} is out of date: {HINT}");
    }
}

/// What to do about a difference.
const HINT: &str = "run `cargo test -p gauntlet-proto -- --ignored regenerate` and commit the result";

/// Not a test: writes the generated code.
#[test]
#[ignore = "writes src/generated"]
fn regenerate() {
    let folder = generated_folder();
    for name in committed().keys() {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, text) in generate() {
        fs::write(folder.join(name), text).unwrap();
    }
}

#[test]
fn replies_are_written_with_every_field() {
    use gauntlet_proto::service::{Challenge, ClaimRewardResponse, Goal};

    let reply = ClaimRewardResponse { goal_id: "g".into(), ..ClaimRewardResponse::default() };
    assert_eq!(
        serde_json::to_string(&reply).unwrap(),
        r#"{"goalId":"g","status":"","reward":{"type":"","rewardId":"","quantity":0},"claimedAt":""}"#
    );
    let reply = Challenge { goals: vec![Goal::default()], ..Challenge::default() };
    let text = serde_json::to_string(&reply).unwrap();
    assert!(!text.contains("null"), "{text}");
    assert!(text.contains(r#""requirement":{"statCode":"","operator":"","targetValue":0}"#), "{text}");
    assert!(text.contains(r#""prerequisites":[],"progress":0,"#), "{text}");
}

#[test]
fn every_proto_file_is_listed() {
    let root = proto_folder();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    assert_eq!(found, FILES);
}

#[test]
fn reflection_knows_every_service_and_method() {
    let pool = DescriptorPool::decode(gauntlet_proto::DESCRIPTOR_SET).unwrap();
    let methods: Vec<String> = pool
        .services()
        .flat_map(|service| service.methods().map(|method| method.full_name().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        methods,
        [
            "accelbyte.iam.account.v1.UserAuthenticationUserLoggedInService.OnMessage",
            "accelbyte.social.statistic.v1.StatisticStatItemUpdatedService.OnMessage",
            "gauntlet.events.v1.EventStream.Publish",
            "service.Service.GetUserChallenges",
            "service.Service.GetUserChallenge",
            "service.Service.InitializePlayer",
            "service.Service.SetGoalActive",
            "service.Service.ClaimGoalReward",
            "service.Service.BatchSelectGoals",
            "service.Service.RandomSelectGoals",
            "service.Service.GetRotationStatus",
            "service.Service.GetChallengeHistory",
            "service.Service.HealthCheck",
            "service.Service.GetCatalogueStatus",
            "service.Service.ReloadCatalogue",
        ]
    );
}

#[test]
fn every_message_field_and_method_of_the_player_api_is_explained() {
    let pool = DescriptorPool::decode(gauntlet_proto::DESCRIPTOR_SET).unwrap();
    let file = pool.get_file_by_name("gauntlet/service.proto").unwrap();
    let proto = file.file_descriptor_proto();
    let places = &proto.source_code_info.as_ref().unwrap().location;
    let explained = |path: &[i32]| places.iter().any(|place| place.path == path);
    let index = |at: usize| i32::try_from(at).unwrap();
    for (at, message) in proto.message_type.iter().enumerate() {
        assert!(explained(&[4, index(at)]), "{}", message.name());
        for (field_at, field) in message.field.iter().enumerate() {
            assert!(explained(&[4, index(at), 2, index(field_at)]), "{}.{}", message.name(), field.name());
        }
    }
    for (at, method) in proto.service[0].method.iter().enumerate() {
        assert!(explained(&[6, 0, 2, index(at)]), "{}", method.name());
    }
}

#[test]
fn the_files_that_are_handed_out_are_those_of_the_folder() {
    let shipped: Vec<&str> = gauntlet_proto::FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(shipped, FILES);
    for (name, text) in gauntlet_proto::FILES {
        assert_eq!(fs::read_to_string(proto_folder().join(name)).unwrap(), *text, "{name}");
    }
}

/// The numbers that existing clients and the platform were compiled with. This table is written by
/// hand from the contract, so that a slip in a proto file does not pass by being regenerated.
#[test]
fn field_numbers_are_the_public_ones() {
    const NUMBERS: &str = "
        service.GetChallengesRequest active_only 1 bool
        service.GetChallengesResponse challenges 1 []service.Challenge
        service.GetChallengeRequest challenge_id 1 string, active_only 2 bool
        service.InitializeRequest
        service.InitializeResponse assigned_goals 1 []service.AssignedGoal, new_assignments 2 int32, total_active 3 int32
        service.SetGoalActiveRequest challenge_id 1 string, goal_id 2 string, is_active 3 bool
        service.SetGoalActiveResponse challenge_id 1 string, goal_id 2 string, is_active 3 bool, assigned_at 4 string, message 5 string
        service.ClaimRewardRequest challenge_id 1 string, goal_id 2 string
        service.ClaimRewardResponse goal_id 1 string, status 2 string, reward 3 service.Reward, claimed_at 4 string
        service.BatchSelectRequest challenge_id 1 string, goal_ids 2 []string, replace_existing 3 bool
        service.RandomSelectRequest challenge_id 1 string, count 2 int32, replace_existing 3 bool, exclude_active 4 bool
        service.GoalSelectionResponse selected_goals 1 []service.SelectedGoal, challenge_id 2 string, total_active_goals 3 int32, replaced_goals 4 []string
        service.GetRotationStatusRequest challenge_id 1 string
        service.GetRotationStatusResponse challenge_id 1 string, rotation 2 service.RotationInfo
        service.GetChallengeHistoryRequest challenge_id 1 string, page_size 2 int32, page_token 3 string
        service.GetChallengeHistoryResponse challenge_id 1 string, cycles 2 []service.PastCycle, next_page_token 3 string
        service.PastCycle end_time 1 string, goals 2 []service.PastGoal
        service.PastGoal goal_id 1 string, name 2 string, cycle 3 uint32, outcome 4 string, completed_at 5 string, claimed_at 6 string, reward 7 service.Reward, lost_progress 8 int32
        service.GetCatalogueStatusRequest
        service.ReloadCatalogueRequest
        service.CatalogueStatus version 1 int32, newest_version 2 int32, waiting_for 3 []string
        service.HealthCheckRequest
        service.HealthCheckResponse status 1 string
        service.Challenge challenge_id 1 string, name 2 string, description 3 string, goals 4 []service.Goal
        service.Goal goal_id 1 string, name 2 string, description 3 string, requirement 4 service.Requirement, reward 5 service.Reward, prerequisites 6 []string, progress 7 int32, status 8 string, locked 9 bool, completed_at 10 string, claimed_at 11 string, is_active 12 bool, expires_at 13 string, expires_in_seconds 14 int32, claim_state 15 string, claimable_until 16 string
        service.AssignedGoal challenge_id 1 string, goal_id 2 string, name 3 string, description 4 string, is_active 5 bool, assigned_at 6 string, expires_at 7 string, progress 8 int32, target 9 int32, status 10 string, requirement 11 service.Requirement, reward 12 service.Reward
        service.SelectedGoal goal_id 1 string, name 2 string, description 3 string, requirement 4 service.Requirement, reward 5 service.Reward, status 6 string, progress 7 int32, target 8 int32, is_active 9 bool, assigned_at 10 string, expires_at 11 string
        service.Requirement stat_code 1 string, operator 2 string, target_value 3 int32
        service.Reward type 1 string, reward_id 2 string, quantity 3 int32
        service.RotationInfo enabled 1 bool, type 2 string, schedule 3 string, current_period 4 service.RotationPeriod, next_period 5 service.RotationPeriod
        service.RotationPeriod start_time 1 string, end_time 2 string, expires_in_seconds 3 int32
        accelbyte.iam.account.v1.UserLoggedIn payload 1 accelbyte.iam.account.v1.LoginDetails, id 2 string, version 3 int64, name 4 string, namespace 5 string, parent_namespace 6 string, timestamp 7 string, client_id 8 string, user_id 9 string, trace_id 10 string, session_id 11 string
        accelbyte.iam.account.v1.LoginDetails
        accelbyte.social.statistic.v1.StatItemUpdated payload 1 accelbyte.social.statistic.v1.StatItem, id 2 string, version 3 int64, name 4 string, namespace 5 string, parent_namespace 6 string, timestamp 7 string, client_id 8 string, user_id 9 string, session_id 10 string
        accelbyte.social.statistic.v1.StatItem namespace 1 string, stat_code 2 string, user_id 3 string, latest_value 4 double, inc 5 double
        gauntlet.events.v1.Event sequence 1 uint64, user_logged_in 2 accelbyte.iam.account.v1.UserLoggedIn, stat_item_updated 3 accelbyte.social.statistic.v1.StatItemUpdated
        gauntlet.events.v1.Ack sequence 1 uint64, code 2 int32, reason 3 string, message 4 string
        google.rpc.ErrorInfo reason 1 string, domain 2 string, metadata 3 {string}
        google.rpc.RetryInfo retry_delay 1 google.protobuf.Duration
        google.rpc.Status code 1 int32, message 2 string, details 3 []google.protobuf.Any";

    let pool = DescriptorPool::decode(gauntlet_proto::DESCRIPTOR_SET).unwrap();
    let mut found: Vec<String> = FILES
        .iter()
        .flat_map(|file| {
            pool.get_file_by_name(file).unwrap().messages().map(|m| describe(&m)).collect::<Vec<_>>()
        })
        .collect();
    let mut expected: Vec<String> = NUMBERS.lines().map(|line| line.trim().to_owned()).collect();
    expected.retain(|line| !line.is_empty());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// One line with the fields of a message.
fn describe(message: &protox::prost_reflect::MessageDescriptor) -> String {
    use protox::prost_reflect::Kind;
    let fields: Vec<String> = message
        .fields()
        .map(|field| {
            let kind = match field.kind() {
                Kind::Message(inner) if inner.is_map_entry() => {
                    format!("{{{:?}}}", inner.map_entry_value_field().kind())
                }
                Kind::Message(inner) => inner.full_name().to_owned(),
                scalar => format!("{scalar:?}"),
            };
            let list = if field.is_list() { "[]" } else { "" };
            format!("{} {} {list}{kind}", field.name(), field.number())
        })
        .collect();
    format!("{} {}", message.full_name(), fields.join(", ")).trim_end().to_owned()
}

/// The code that the proto files ask for, by file name.
fn generate() -> BTreeMap<String, String> {
    let mut compiler = protox::Compiler::new([proto_folder()]).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let builder = tonic_prost_build::configure()
        .out_dir(folder.path())
        .emit_rerun_if_changed(false)
        // Details of errors are compared and logged: their order must not be random.
        .btree_map(".");
    as_json(builder, &compiler.descriptor_pool()).compile_fds(compiler.file_descriptor_set()).unwrap();
    let mut files = read_folder(folder.path());
    files.insert("descriptors.rs".to_owned(), descriptors(compiler.descriptor_pool().files()));
    files
}

/// Makes the messages of the player API writable as the JSON of its HTTP face: lowerCamelCase
/// names, and every field there, so a message that is not set is written with its defaults.
fn as_json(builder: tonic_prost_build::Builder, pool: &DescriptorPool) -> tonic_prost_build::Builder {
    let builder = builder
        .message_attribute(".service", "#[derive(::serde::Serialize)]")
        .message_attribute(".service", "#[serde(rename_all = \"camelCase\")]");
    pool.all_messages()
        .filter(|message| message.package_name() == "service")
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(|field| field.kind().as_message().is_some() && !field.is_list())
        .fold(builder, |builder, field| {
            let path = format!(".{}", field.full_name());
            builder.field_attribute(path, "#[serde(serialize_with = \"crate::json::present\")]")
        })
}

/// The descriptor set as a Rust expression, with the comments of what is ours: the description of
/// the HTTP API is made of them, and tools that ask by reflection show them.
fn descriptors(files: impl Iterator<Item = FileDescriptor>) -> String {
    let file = files
        .map(|file| {
            let mut file = file.file_descriptor_proto().clone();
            let is_ours = FILES.contains(&file.name());
            file.source_code_info = file.source_code_info.filter(|_| is_ours).map(|mut info| {
                // Comments at the head of a file are for its readers.
                info.location.retain(|place| place.leading_comments.is_some() && place.path.len() > 1);
                info.location.iter_mut().for_each(|place| place.leading_detached_comments.clear());
                info
            });
            file
        })
        .collect();
    let bytes = prost_types::FileDescriptorSet { file }.encode_to_vec();

    let mut text = String::from("b\"\\\n");
    let mut width = 0;
    for byte in bytes {
        // A blank at the start of a line would vanish: a line that ends in a backslash takes the
        // next line's indentation with it.
        let escaped = match byte {
            b' ' if width == 0 => "\\x20".to_owned(),
            byte => byte.escape_ascii().to_string(),
        };
        text.push_str(&escaped);
        width += escaped.len();
        if width >= 100 {
            text.push_str("\\\n");
            width = 0;
        }
    }
    text.push_str("\"\n");
    text
}

fn committed() -> BTreeMap<String, String> {
    read_folder(&generated_folder())
}

/// The files of a folder, by name. Packages without code of their own leave empty files; those
/// are not kept.
fn read_folder(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        if !text.trim().is_empty() {
            files.insert(entry.file_name().into_string().unwrap(), text);
        }
    }
    files
}

fn proto_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto")
}

fn generated_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated")
}
