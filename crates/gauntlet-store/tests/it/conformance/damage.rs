use std::error::Error as _;

use gauntlet_store::{Error, Load};

use crate::{
    fixture::Fixture,
    make::{commit_one, key, load, player, receipt, stored, write},
};

pub(crate) async fn corrupt_bytes_name_their_place_and_hurt_nobody_else(fixture: &Fixture) {
    let store = fixture.dyn_store();
    for name in ["first", "live", "settled", "last"] {
        let mut new = write(name, None, player(1));
        new.receipts = vec![receipt("a")];
        commit_one(store, new).await;
    }
    let good = (player(1).encode_live(), player(1).encode_settled().expect("has one"));
    fixture.plant(&key("live"), &[1, 1, 0xff, 0xff], &good.1).await;
    fixture.plant(&key("settled"), &good.0, &good.1[..good.1.len() - 1]).await;
    let names = ["first", "live", "settled", "last"];
    let asked = names.map(|name| Load { receipts: true, ..load(name) });
    let loaded = store.load(&asked).await.expect("loads");
    assert!(loaded.iter().all(|one| one.receipts == [receipt("a")]));
    for (name, loaded) in names.into_iter().zip(&loaded) {
        let place = match name {
            "live" => ("player", "live", "game/live"),
            "settled" => ("settled", "settled", "game/settled"),
            _ => {
                assert_eq!(loaded.stored.as_ref().expect(name).as_ref().expect(name).player, player(1));
                continue;
            }
        };
        let Err(error @ Error::Corrupt { table, column, id, .. }) = &loaded.stored else {
            panic!("{:?}", loaded.stored)
        };
        assert_eq!((*table, *column, id.as_str()), place);
        assert_eq!(error.to_string(), format!("{table}.{column} of {id} is corrupt"));
        assert!(error.source().is_some() && !error.is_transient());
    }
    // Whoever does not need the settled part is not hurt by it.
    let asked = [Load { settled: false, ..load("settled") }, Load { settled: false, ..load("live") }];
    let loaded = store.load(&asked).await.expect("loads");
    assert!(loaded[0].stored.as_ref().expect("readable").is_some());
    assert!(loaded[1].stored.is_err());
    assert_eq!(stored(store, "first").await.expect("there").revision, 1);
}

pub(crate) async fn a_newer_format_is_left_alone(fixture: &Fixture) {
    let store = fixture.dyn_store();
    commit_one(store, write("p", None, player(1))).await;
    fixture.plant(&key("p"), &[250, 249, 1, 2, 3], &player(1).encode_settled().expect("has one")).await;
    let loaded = store.load(&[load("p")]).await.expect("loads");
    let Err(Error::Newer { table: "player", id, format: 250 }) = &loaded[0].stored else {
        panic!("{:?}", loaded[0].stored)
    };
    assert_eq!(id, "game/p");
}
