//! The built program with a collection in a database: what it prints, how it
//! ends, and that the token is nowhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use tokio::task::block_in_place;

use super::scene::{COLLECTION, Scene, texts};
use crate::commands::{Machine, Ran};
use crate::data_api_stub::{Fault, OTHER_TOKEN, TOKEN};

/// A machine on which both variables are set.
struct Desk {
    scene: Scene,
    machine: Machine,
}

impl Desk {
    async fn new() -> Self {
        Self { scene: Scene::new().await, machine: Machine::new() }
    }

    fn command(&self) -> Command {
        let mut command = self.machine.command();
        command.env("ASTRA_DB_API_ENDPOINT", self.scene.stub.endpoint());
        command.env("ASTRA_DB_APPLICATION_TOKEN", TOKEN);
        command.env("CARLENS_LOG", "trace");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command().args(arguments))
    }

    /// What the program has written anywhere on its machine.
    fn files(&self) -> String {
        let files = walkdir::WalkDir::new(self.machine.home()).into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.file_type().is_file());
        let content = |file: walkdir::DirEntry| fs::read(file.path()).unwrap();
        files.map(content).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

/// The server answers on other threads meanwhile.
fn ran(command: &mut Command) -> Ran {
    block_in_place(|| Ran::of(command))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_as_with_a_file() {
    let desk = Desk::new().await;
    let folder = desk.machine.pictures(&["car-005.jpg", "car-009.jpg", "car-003.jpg"]);
    let folder = folder.to_str().unwrap();
    let nothing = desk.run(&["search", "red convertible"]).ends(1);
    assert!(nothing.err().contains("carlens load DIR"));
    let loaded = desk.run(&["load", folder]).ends(0);
    assert!(loaded.out().contains("3 embedded, 0 unchanged, 0 failed"), "{}", loaded.out());
    assert_eq!(texts(&desk.scene.stub), ["car-003.jpg", "car-005.jpg", "car-009.jpg"]);
    let found = desk.run(&["search", "red convertible"]).ends(0);
    assert!(found.out().lines().next().unwrap().ends_with("car-005.jpg"), "{}", found.out());
    let status = desk.run(&["status"]).ends(0);
    assert!(status.out().contains("car_images in default_keyspace of the Data API at http://127."));
    assert!(status.out().contains("pictures    3\n"), "{}", status.out());
    let status = desk.run(&["status", "--json"]).ends(0).json();
    assert_eq!((&status["store"], &status["spaces"][0]["pictures"]), (&"astra".into(), &3.into()));
    assert_eq!(status["spaces"][0]["folders"][0]["folder"], folder);
    // Without a folder, those of the collection again.
    let again = desk.run(&["load"]).ends(0);
    assert!(again.out().contains("0 embedded, 3 unchanged"), "{}", again.out());
    let one = desk.run(&["search", "--in", folder, "-n", "1", "red"]).ends(0);
    assert_eq!(one.out().lines().count(), 1);
    desk.run(&["search", "--in", "/elsewhere", "red"]).ends(1).complains("no pictures below");
    // The file on this machine is another collection.
    desk.run(&["--store", "embedded", "search", "red"]).ends(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dot_env_file_of_the_working_folder_is_enough() {
    let desk = Desk::new().await;
    let folder = desk.machine.pictures(&["car-005.jpg"]);
    let variables = format!(
        "# the team's database\nASTRA_DB_API_ENDPOINT={}\nASTRA_DB_APPLICATION_TOKEN=\"{TOKEN}\"\n",
        desk.scene.stub.endpoint()
    );
    fs::write(folder.join(".env"), variables).unwrap();
    ran(desk.machine.command().current_dir(&folder).args(["load", "."])).ends(0);
    assert_eq!(texts(&desk.scene.stub), ["car-005.jpg"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_is_copied_there_and_back() {
    let desk = Desk::new().await;
    let folder = desk.machine.pictures(&["car-005.jpg", "car-009.jpg"]);
    desk.run(&["--store", "embedded", "load", folder.to_str().unwrap()]).ends(0);
    let there = desk.run(&["copy", "--from", "embedded", "--to", "astra"]).ends(0);
    assert!(there.out().contains("2 copied, 0 there already, 0 failed"), "{}", there.out());
    assert!(there.out().contains("0 missing; 2 of 2 embeddings equal"), "{}", there.out());
    let back =
        desk.run(&["copy", "--from", "astra", "--to", "embedded:back", "--json"]).ends(0).json();
    assert_eq!((&back["copied"], &back["verified"]), (&2.into(), &true.into()));
    let found = desk.run(&["--store", "embedded", "--collection", "back", "search", "red"]);
    assert_eq!(found.ends(0).out().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_is_said_and_the_token_is_nowhere() {
    let desk = Desk::new().await;
    let folder = desk.machine.pictures(&["car-005.jpg"]);
    let folder = folder.to_str().unwrap();
    desk.run(&["load", folder]).ends(0);
    let with =
        |name: &str, value: &str| ran(desk.command().env(name, value).args(["search", "red"]));
    let code =
        |code, message| Fault::ErrorCode { code, family: "REQUEST", scope: "DATABASE", message };
    let faulty = |command: &str, fault: Fault, arguments: &[&str]| {
        desk.scene.stub.fault(command, fault);
        let ran = desk.run(arguments);
        desk.scene.stub.mend();
        ran
    };
    let search = ["search", "red"];
    let said = [
        with("ASTRA_DB_APPLICATION_TOKEN", "AstraCS:wrong").complains("does not accept the token"),
        with("ASTRA_DB_APPLICATION_TOKEN", OTHER_TOKEN).complains("belongs to this database"),
        with("ASTRA_DB_KEYSPACE", "nowhere").complains("no keyspace nowhere"),
        with("ASTRA_DB_API_ENDPOINT", "http://db.example:8181").complains("in the clear"),
        with("ASTRA_DB_API_ENDPOINT", "not an endpoint").complains("makes no sense"),
        faulty("*", Fault::Html, &search).complains("a web page instead"),
        faulty("*", Fault::Status(404, ""), &search).complains("no Data API below"),
        faulty("*", Fault::Status(413, ""), &search).complains("too large"),
        faulty(
            "createCollection",
            code("TOO_MANY_INDEXES_FOR_COLLECTION", "The limit is 100."),
            &["--collection", "another", "load", folder],
        )
        .complains("no room for another collection"),
        ran(desk
            .command()
            .env_remove("ASTRA_DB_APPLICATION_TOKEN")
            .args(["--store", "astra", "search", "red"]))
        .complains("ASTRA_DB_APPLICATION_TOKEN is not set"),
    ];
    for ran in said {
        let ran = ran.complains("hint: ").ends(2);
        assert!(!ran.err().contains("very-secret") && ran.out().is_empty(), "{}", ran.err());
    }
    // Where it was not meant to be.
    for name in ["CARLENS_MODEL", "CARLENS_STORE", "CARLENS_GRAPHICS"] {
        let ran = ran(desk.command().env(name, TOKEN).args(["search", "red"])).ends(2);
        assert!(!ran.err().contains("very-secret"), "{}", ran.err());
    }
    let ran = desk.run(&["--store", TOKEN, "search", "red"]).ends(2).complains("--store");
    assert!(!ran.err().contains("very-secret"), "{}", ran.err());
    let files = desk.files();
    assert!(files.contains("TRACE"), "the log says everything it can");
    assert!(!files.contains("very-secret"));
    assert_eq!(texts(&desk.scene.stub), ["car-005.jpg"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_of_an_unknown_model_is_warned_of_before_its_hits() {
    let desk = Desk::new().await;
    let options = serde_json::json!({ "vector": { "dimension": 512, "metric": "cosine" } });
    desk.scene.stub.create(COLLECTION, options);
    let document = |n: usize| {
        let vector: Vec<f32> = (0..512_u16).map(|i| f32::from(i) + 0.5).collect();
        serde_json::json!({ "_id": n.to_string(), "text": format!("car-00{n}.jpg"), "$vector": vector })
    };
    (1..4).for_each(|n| desk.scene.stub.put(COLLECTION, document(n)));
    let found = desk.run(&["search", "red"]).ends(0);
    assert!(found.err().starts_with("warning: the collection does not say which model"));
    assert!(found.err().contains("clip-vit-b-32"), "{}", found.err());
    // The pictures of the image folder.
    for line in found.out().lines() {
        let path = line.split_once('\t').unwrap().1;
        assert!(Path::new(path).is_file(), "{line}");
    }
    let status = desk.run(&["status"]).ends(0);
    assert!(status.out().contains("is not recorded"), "{}", status.out());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_moved_is_followed_and_all_of_it_checked() {
    let desk = Desk::new().await;
    let folder = desk.machine.pictures(&["car-005.jpg", "car-009.jpg"]);
    desk.run(&["load", folder.to_str().unwrap()]).ends(0);
    let moved = folder.with_file_name("moved");
    fs::rename(&folder, &moved).unwrap();
    let (old, new) = (folder.to_str().unwrap(), moved.to_str().unwrap());
    let ran = desk.run(&["move", old, new]).ends(0);
    assert_eq!(ran.out(), "2 pictures moved\n");
    assert_eq!(texts(&desk.scene.stub), ["car-005.jpg", "car-009.jpg"]);
    let found = desk.run(&["search", "-n", "1", "red convertible"]).ends(0);
    assert!(found.out().trim_end().ends_with(moved.join("car-005.jpg").to_str().unwrap()));
    let again = desk.run(&["load", new]).ends(0);
    assert!(again.out().contains("0 embedded, 2 unchanged"), "{}", again.out());
    fs::remove_file(moved.join("car-009.jpg")).unwrap();
    let checked = desk.run(&["check", "--json"]).ends(0).json();
    assert_eq!((&checked["pictures"], &checked["missing"]), (&2.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_has_backups_and_repairs_of_its_own() {
    let desk = Desk::new().await;
    for command in ["backup", "restore"] {
        desk.run(&[command, "cars.backup"]).ends(2).complains("carlens copy --from astra");
    }
    desk.run(&["check", "--repair"]).ends(2).complains("load its folders again");
}
