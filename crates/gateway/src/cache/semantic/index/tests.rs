use domain::id::{OrganizationId, ProjectId};
use proptest::prelude::*;

use super::*;

fn key(number: u32) -> CacheKey {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_le_bytes());
    CacheKey {
        organization_id: OrganizationId::DEFAULT,
        project_id: ProjectId::DEFAULT,
        digest,
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn place(partition: u32, text: &str) -> Place {
    Place {
        partition: key(partition),
        marks: Marks::of(text).digest(),
    }
}

fn index(max: usize, max_partition: usize, max_scanned: usize) -> Index {
    Index::new(Bounds {
        max,
        max_partition,
        max_scanned,
    })
}

/// Notes until second 100, in second 0.
fn note(index: &mut Index, partition: u32, number: u32, vector: &[f32]) -> bool {
    let (place, marks) = (place(partition, "a b"), Marks::of("a b"));
    index.insert(
        place,
        key(number),
        vector.into(),
        marks,
        second(100),
        second(0),
    )
}

fn find(index: &Index, partition: u32, vector: &[f32], text: &str, now: i64) -> Option<CacheKey> {
    let (place, marks) = (place(partition, text), Marks::of(text));
    let nearest = index.nearest(&place, vector, &marks, 0.0, second(now));
    nearest.map(|nearest| nearest.key)
}

#[test]
fn the_closest_of_a_partition_is_found_and_no_other_partitions() {
    let mut index = index(9, 9, 9);
    note(&mut index, 0, 1, &[1.0, 0.0]);
    note(&mut index, 0, 2, &[0.8, 0.6]);
    note(&mut index, 9, 3, &[0.6, 0.8]);
    assert_eq!(find(&index, 0, &[0.6, 0.8], "a b", 0), Some(key(2)));
    assert_eq!(find(&index, 9, &[1.0, 0.0], "a b", 0), Some(key(3)));
    assert_eq!(find(&index, 7, &[1.0, 0.0], "a b", 0), None);
    assert_eq!(find(&index, 0, &[1.0, 0.0], "a 7 b", 0), None);
    assert_eq!(find(&index, 0, &[1.0, 0.0], "a b", 100), None);
    assert_eq!(find(&index, 0, &[1.0, 0.0, 0.0], "a b", 0), None);
    index.remove_all(|meant| *meant == key(2));
    assert_eq!(find(&index, 0, &[0.6, 0.8], "a b", 0), Some(key(1)));
    index.remove_all(|_| true);
    assert_eq!((index.len(), index.partitions.len()), (0, 0));
}

#[test]
fn what_is_less_alike_than_wanted_is_not_found() {
    let mut index = index(9, 9, 9);
    note(&mut index, 0, 1, &[0.8, 0.6]);
    let likeness_for = |threshold| {
        let (place, marks) = (place(0, "a b"), Marks::of("a b"));
        let near = index.nearest(&place, &[1.0, 0.0], &marks, threshold, second(0));
        near.map(|near| near.likeness)
    };
    assert_eq!(likeness_for(0.8), Some(0.8));
    assert_eq!(likeness_for(0.81), None);
}

#[test]
fn the_oldest_go_where_there_are_too_many() {
    let mut index = index(4, 3, 9);
    for number in 1..=5 {
        note(&mut index, 0, number, &[1.0, 0.0]);
    }
    assert_eq!(index.len(), 3);
    for number in 1..=5 {
        note(&mut index, number, number, &[1.0, 0.0]);
    }
    assert_eq!(index.len(), 4);
    assert_eq!(find(&index, 1, &[1.0, 0.0], "a b", 0), None);
    assert_eq!(find(&index, 5, &[1.0, 0.0], "a b", 0), Some(key(5)));
    assert!(!index.partitions.contains_key(&place(0, "a b")));
}

#[test]
fn what_has_expired_makes_room_and_what_is_asked_again_stands_once() {
    let mut index = index(9, 9, 9);
    note(&mut index, 0, 1, &[1.0, 0.0]);
    note(&mut index, 0, 1, &[0.0, 1.0]);
    assert_eq!(index.len(), 1);
    assert_eq!(find(&index, 0, &[1.0, 0.0], "a b", 0), Some(key(1)));
    let (place, marks) = (place(0, "a b"), Marks::of("a b"));
    let vector = Arc::from([1.0, 0.0]);
    index.insert(place, key(2), vector, marks, second(300), second(100));
    assert_eq!((index.len(), index.partitions[&place].known.len()), (1, 1));
}

#[test]
fn vectors_of_another_length_take_the_place_of_those_before() {
    let mut index = index(9, 9, 9);
    note(&mut index, 0, 1, &[1.0, 0.0]);
    note(&mut index, 0, 2, &[1.0, 0.0, 0.0]);
    assert_eq!(index.len(), 1);
    assert_eq!(find(&index, 0, &[1.0, 0.0, 0.0], "a b", 0), Some(key(2)));
}

/// Numbers that follow from a seed alone, from -1 to 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        // The constants of Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let high = u16::try_from(self.0 >> 48).unwrap();
        f32::from(high) / 32_768.0 - 1.0
    }

    /// A vector of length 1 that is near to `centre`, the nearer the smaller `spread` is.
    fn near(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
        let moved: Vec<f32> = centre
            .iter()
            .map(|number| number + spread * self.next())
            .collect();
        let length = dot(&moved, &moved).sqrt();
        moved.iter().map(|number| number / length).collect()
    }
}

const WIDTH: usize = 24;

/// Vectors as texts have them: many subjects, and many ways to ask about each.
fn texts(seed: u64, count: u32) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(seed);
    let subjects: Vec<Vec<f32>> = (0..40).map(|_| numbers.near(&[0.0; WIDTH], 1.0)).collect();
    let asked = (0..count as usize).map(|at| numbers.near(&subjects[at % 40], 0.4));
    asked.collect()
}

fn arrange_all(index: &mut Index, partition: u32) {
    while index.arrange(&place(partition, "a b")) {}
}

proptest! {
    // Each case is hundreds of vectors in a graph.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_graph_finds_what_looking_at_all_of_them_finds(
        seed: u64,
        gone_below in 0_u32..256,
        arranged in 0_usize..300,
    ) {
        let texts = texts(seed, 300);
        let (mut scanned, mut graph) = (index(9_999, 9_999, 9_999), index(9_999, 9_999, 100));
        for (number, text) in (0..).zip(&texts) {
            prop_assert!(!note(&mut scanned, 0, number, text));
            prop_assert_eq!(note(&mut graph, 0, number, text), number >= 100);
        }
        // Some stand in the graph when others go, and some come into it later.
        for _ in 0..arranged {
            graph.arrange(&place(0, "a b"));
        }
        let goes =
            |key: &CacheKey| key.digest[0].is_multiple_of(3) && u32::from(key.digest[0]) < gone_below;
        scanned.remove_all(goes);
        graph.remove_all(goes);
        arrange_all(&mut graph, 0);
        prop_assert!(graph.partitions[&place(0, "a b")].scanned.is_empty());
        let mut numbers = Numbers(seed ^ 1);
        let mut found = 0;
        for text in texts.iter().step_by(3) {
            let question = numbers.near(text, 0.1);
            let (place, marks) = (place(0, "a b"), Marks::of("a b"));
            let expected = scanned.nearest(&place, &question, &marks, 0.0, second(0)).unwrap();
            let near = graph.nearest(&place, &question, &marks, 0.0, second(0)).unwrap();
            // Whatever it finds is as alike as it says, and none that is gone.
            prop_assert!(!goes(&near.key));
            let number = u32::from_le_bytes(near.key.digest[..4].try_into().unwrap());
            let likeness = dot(&question, &texts[number as usize]);
            prop_assert!((near.likeness - likeness).abs() < 1e-5);
            prop_assert!(near.likeness <= expected.likeness + 1e-5);
            found += usize::from(near.key == expected.key);
        }
        prop_assert!(found >= 97, "{found} of 100");
    }
}

#[test]
fn a_graph_goes_when_nothing_of_it_is_known_any_more() {
    let mut index = index(9_999, 150, 50);
    let texts = texts(7, 400);
    for (number, text) in (0..).zip(&texts) {
        if note(&mut index, 0, number, text) {
            arrange_all(&mut index, 0);
        }
    }
    let there = place(0, "a b");
    let partition = &index.partitions[&there];
    let alive: usize = partition.graphs.iter().map(|graph| graph.alive).sum();
    assert_eq!((index.len(), alive), (150, 150));
    assert_eq!(find(&index, 0, &texts[399], "a b", 0), Some(key(399)));
    assert_ne!(find(&index, 0, &texts[0], "a b", 0), Some(key(0)));
    index.remove_all(|key| key.digest[0] < 200);
    assert!(index.len() < 150);
    index.remove_all(|_| true);
    assert!(index.partitions.is_empty());
    // The next one begins again, with all of them looked at.
    note(&mut index, 0, 1, &texts[1]);
    assert_eq!(find(&index, 0, &texts[1], "a b", 0), Some(key(1)));
}
