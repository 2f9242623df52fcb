//! The order in which policies run.

use crate::{Chain, ChainStep};

impl Chain {
    /// The chain of these levels, from the outside in: the document's, the API's, the route's. By
    /// phase first; inside a phase as they are handed in.
    pub(crate) fn of(levels: &[&[ChainStep]]) -> Self {
        let mut steps: Vec<ChainStep> = levels.iter().copied().flatten().cloned().collect();
        // Stable, and `watch` is the first of the phases: it is around all the others.
        steps.sort_by_key(|step| step.phase);
        let answers = |step: &ChainStep| step.when.is_none() && step.policy.answers_preflights();
        let answers_preflights = steps.iter().any(answers);
        Self { steps: steps.into(), answers_preflights }
    }
}
