//! What the calls of one key usually take.

/// The most routes that are told apart; the others share what is known of the key.
const MAX_ROUTES: usize = 64;
/// Before anything is known of a key, its calls are expected to take this much output.
const FIRST_OUTPUT: u64 = 500;

/// Moving means of the output of a key's calls, of all and of those for each route.
#[derive(Debug, Default)]
pub(super) struct Habits {
    all: Option<u64>,
    routes: Vec<(Box<str>, u64)>,
}

impl Habits {
    /// What a call for `route` is expected to put out: twice what such calls usually do, and no more than the
    /// caller's own `bound`, in tokens.
    pub(super) fn expected_output(&self, route: &str, bound: Option<u64>) -> u64 {
        let mean = self.usual_output(route);
        let usual = mean.map_or(FIRST_OUTPUT, |mean| mean.saturating_mul(2));
        bound.map_or(usual, |bound| bound.min(usual))
    }

    /// What calls for `route` usually put out, in tokens; of a route that is new, what the key's calls do. `None`
    /// before the first.
    pub(super) fn usual_output(&self, route: &str) -> Option<u64> {
        let known = self.routes.iter().find(|(name, _)| **name == *route);
        known.map(|(_, mean)| *mean).or(self.all)
    }

    /// A call for `route` has put out so many tokens.
    pub(super) fn learn(&mut self, route: &str, output: u64) {
        self.all = Some(self.all.map_or(output, |mean| moved(mean, output)));
        match self.routes.iter_mut().find(|(name, _)| **name == *route) {
            Some((_, mean)) => *mean = moved(*mean, output),
            None => {
                if self.routes.len() < MAX_ROUTES {
                    self.routes.push((route.into(), output));
                }
            }
        }
    }
}

fn moved(mean: u64, output: u64) -> u64 {
    mean - mean / 8 + output / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_learned_apart_from_the_others() {
        let mut habits = Habits::default();
        assert_eq!(habits.expected_output("short", None), FIRST_OUTPUT);
        assert_eq!(habits.usual_output("short"), None);
        habits.learn("long", 4_000);
        assert_eq!(habits.expected_output("short", None), 8_000);
        habits.learn("short", 20);
        assert_eq!(habits.expected_output("short", None), 40);
        assert_eq!(habits.usual_output("short"), Some(20));
        assert_eq!(habits.expected_output("short", Some(10)), 10);
        assert_eq!(habits.expected_output("long", None), 8_000);
    }

    #[test]
    fn no_more_routes_are_kept_than_there_is_room_for() {
        let mut habits = Habits::default();
        for number in 0..10 * MAX_ROUTES {
            habits.learn(&format!("route-{number}"), 100);
        }
        assert_eq!(habits.routes.len(), MAX_ROUTES);
    }
}
