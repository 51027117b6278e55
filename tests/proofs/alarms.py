"""Every limit in tests that drawn numbers are held to, and how often it fails a program that is right.

A test that is not here is exact, or in its file stands why it errs less than can be counted. That a wrong version is
seen, where a test shows that too, is a matter of its power, and is not counted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import norm
from scipy.stats import t as student

EACH = 1e-9  # of one call of `assert_unbiased`


def false_alarm(limit: float, freedom: float = math.inf, skewness: float = 0.0) -> float:
    """Return P(|T| >= limit) of a mean, over its standard error of so many degrees of freedom; infinite: it is known.

    P(|t| >= x) cosh(x³ γ/(3 √n)) for n numbers of skewness γ, an upper bound, as tests/estimators/test_heavy_tails.py
    finds. Source: Wang (2005), "Limit theorems for self-normalized large deviation".
    """
    shift = limit**3 * skewness / (3 * math.sqrt(freedom + 1)) if skewness else 0.0
    return float(student.sf(limit, freedom)) * 2 * math.cosh(shift)


@dataclass(frozen=True)
class Errors:
    """So many numbers, in each of so many cases, within a number of standard errors.

    Args:
        limit: in standard errors.
        numbers, cases: how many, in each case.
        freedom: degrees of freedom of the standard error; infinite where it is known.
        skewness: the largest, of what is averaged.
    """

    limit: float
    numbers: int = 1
    cases: int = 1
    freedom: float = math.inf
    skewness: float = 0.0

    @property
    def rate(self) -> float:
        """How often one of them is beyond the limit."""
        return self.cases * self.numbers * false_alarm(self.limit, self.freedom, self.skewness)


@dataclass(frozen=True)
class Unbiased:
    """Calls of `assert_unbiased`, whose limit is that of the normal law, as often as numbers of each are drawn."""

    numbers: int
    freedom: float
    cases: int = 1
    skewness: float = 0.0

    @property
    def rate(self) -> float:
        """How often one of them is beyond the limit."""
        limit = float(norm.isf(EACH / (2 * self.numbers)))
        return self.cases * self.numbers * false_alarm(limit, self.freedom, self.skewness)


@dataclass(frozen=True)
class Exactly:
    """Tests whose limit is the quantile of a law that is known, at this rate each."""

    each: float
    cases: int = 1

    @property
    def rate(self) -> float:
        """How often one of them fails."""
        return self.cases * self.each


Limit = Errors | Unbiased | Exactly

_SMOOTHING = "estimators/smoothing/test_"
LIMITS: Mapping[str, tuple[Limit, ...]] = {
    "agents/test_action_distributions.py::test_choices_are_drawn_with_the_probabilities_that_are_scored": (
        Errors(6.5, 10),
    ),
    "agents/test_action_distributions.py::test_draws_of_a_box_have_the_mean_and_spread_that_are_scored": (
        Errors(6.5, 6),
    ),
    "agents/test_actions.py::prove_draws_are_from_the_probabilities_that_are_scored": (Errors(6.5, 6),),
    "agents/test_reinforce.py::test_actions_are_drawn_from_the_probabilities_that_are_scored": (Errors(6.5, 5),),
    "agents/test_reinforce.py::test_gradients_scatter_around_the_exact_one_as_their_standard_error_says": (
        Errors(8, 12 * 30, freedom=169),
        Errors(22, freedom=11),
    ),
    "agents/test_sac.py::test_it_explores_by_its_gaussian_and_is_judged_by_its_mean": (Errors(6.5, 2),),
    "envs/test_whipple_env.py::test_noisy_rides_cost_what_the_optimum_says": (Errors(6.2, freedom=299, skewness=0.5),),
    "experiments/agents/test_horizon_script.py::"
    "test_the_noise_of_a_step_is_that_of_runs_whose_end_is_worth_what_a_step_is": (
        Errors(6.5, freedom=19_999, skewness=3.0),
    ),
    "experiments/zeroth_order/test_approximations.py::"
    "test_a_step_made_for_rounding_alone_divides_the_noise_of_n_differences_that_share_a_value": (
        Errors(6.2, freedom=2_999, skewness=2.8),
    ),
    "proofs/searching.py::assert_mean_on_a_line": (Errors(6.3, 3, cases=2),),
    "agents/test_td3.py::test_once_learning_has_started_it_acts_by_its_policy_with_noise_around": (Errors(6.5, 2),),
    "backprop/test_network.py::test_without_biases_weights_begin_uniform_by_fan_in_and_biases_at_zero": (
        Errors(6.2, 2),
    ),
    "blackbox/test_blackbox.py::test_a_jump_before_a_curved_cost_is_right_to_the_cost_and_wrong_locally": (
        Errors(6.5, cases=3, freedom=39_999),
    ),
    "blackbox/test_blackbox.py::test_a_score_function_at_the_output_of_a_network_estimates_the_expected_cost": (
        Errors(6.5, 3, freedom=3_999),
    ),
    "blackbox/test_blackbox.py::test_draws_stand_beside_other_inputs_which_need_no_gradient": (
        Errors(6.5, 9, freedom=1_332),
    ),
    "blackbox/test_draws.py::test_a_relaxing_estimator_in_a_block_has_the_gradient_of_the_expected_cost": (
        Errors(6.5, 4, cases=4, freedom=3_999),
    ),
    "blackbox/test_draws.py::test_a_biased_one_has_that_of_its_own_target_and_not_of_the_expected_cost": (
        Errors(6.5, 4, freedom=3_999),
    ),
    "distributions/test_discrete.py::test_draws_have_the_probabilities_of_the_support": (Exactly(1e-9 / 128, 128),),
    "distributions/test_every_distribution.py::test_continuous_draws_have_their_law": (Exactly(1e-9 / 18, 18),),
    "distributions/test_every_distribution.py::test_counts_have_poissons_law": (Exactly(1e-9),),
    "distributions/test_every_distribution.py::test_extreme_shapes_have_finite_scores_of_the_right_mean_and_variance": (
        Errors(6.5, 11, freedom=39_999, skewness=7.1),
        Errors(7.5, 11, freedom=39_999, skewness=10.8),
    ),
    "distributions/test_from_torch.py::test_scores_have_mean_zero": (Errors(7, 5, 31, freedom=99_999, skewness=10),),
    "distributions/test_every_distribution.py::test_blocks_of_a_product_are_independent_and_drawn_by_name": (
        Errors(7, 9),
    ),
    "distributions/test_places.py::test_estimators_can_be_measured_at_every_kind_of_place": (
        Errors(7.2, 2, 5, freedom=299),
    ),
    "envs/test_bicycle_facts.py::test_riders_without_a_plan_fall_when_they_should": (
        Errors(6.2, 2, 6, freedom=19_999),
    ),
    "estimators/differences/test_linear_interpolation.py::test_orthogonal_directions_favour_none": (
        Errors(6.7, 36, freedom=199_999),
    ),
    "estimators/differences/test_steps.py::test_the_error_at_the_noisy_minimum_is_that_of_bias_and_variance": (
        Errors(6.2, 2),
    ),
    "estimators/exact/test_exact.py::test_it_agrees_with_drawing": (Errors(6.2, 2),),
    "estimators/pathwise/test_implicit_pathwise.py::test_its_draws_have_the_law_they_should": (Exactly(1e-9, 4),),
    "estimators/pathwise/test_pathwise.py::test_a_jump_makes_it_wrong_and_nothing_shows_it": (
        Errors(7, 4, 2, freedom=249),
    ),
    "estimators/relaxed/test_gumbel.py::test_the_noise_has_its_moments_and_makes_samples_of_the_right_chances": (
        Errors(6.5, 8),
        Errors(9.0, 2),  # 3 % of a variance of 400,000 numbers of kurtosis 5.4
    ),
    "estimators/relaxed/test_gumbel.py::test_more_inner_draws_leave_the_variance_of_the_outcome": (Errors(6.5),),
    "estimators/relaxed/test_gumbel.py::test_with_three_choices_both_straight_through_variants_have_one_mean": (
        Errors(6.5, 6, freedom=39_999),
    ),
    "estimators/score/test_measure_valued.py::test_the_laws_it_draws_have_their_moments": (Errors(6.5, 4),),
    "estimators/score/test_measure_valued.py::prove_product": (Errors(6.5, 6, freedom=19_999),),
    "estimators/score/test_score_function.py::"
    "test_the_standard_error_with_the_optimal_baseline_is_low_by_the_documented_share": (Errors(6.1, cases=4),),
    "estimators/score/test_score_function_of_choices.py::test_counts_have_the_binomial_law_and_miss_no_sample": (
        Exactly(1e-9),
        Exactly(1e-9),
    ),
    "estimators/score/test_score_function_of_choices.py::test_more_samples_than_half_precision_can_count_are_counted": (
        Errors(6),
    ),
    "estimators/score/test_score_function_of_choices.py::test_counting_costs_the_same_for_any_number_of_samples": (
        Errors(6.5, 4),
    ),
    # of squares and fourth powers of normal numbers, which are skewed
    f"{_SMOOTHING}directions.py::test_orthonormal_sets_are_uniformly_rotated": (Unbiased(12, 49_999, 3, 1.4),),
    f"{_SMOOTHING}directions.py::test_lengths_are_those_of_normal_vectors_and_independent_of_direction": (
        Unbiased(6, 99_999, skewness=9.3),
        Unbiased(3, 99_999, skewness=9.3),
    ),
    f"{_SMOOTHING}directions.py::test_every_hadamard_row_alone_is_a_vector_of_fair_independent_signs": (
        Unbiased(6, 99_999, 4),
    ),
    f"{_SMOOTHING}directions.py::test_every_axis_is_equally_likely_to_be_among_the_first_and_of_either_sign": (
        Unbiased(10, 59_999),
    ),
    f"{_SMOOTHING}directions.py::test_every_sobol_direction_alone_is_normal": (Unbiased(8, 99_999, 4, 10.4),),
    f"{_SMOOTHING}directions.py::test_one_scrambling_matrix_alone_leaves_directions_normal": (
        Unbiased(4, 3_999, skewness=2.83),
    ),
    f"{_SMOOTHING}directions.py::test_the_problems_of_a_draw_are_uncorrelated": (
        Errors(6.5, 6),
        Unbiased(12, 2_999, 6),
    ),
    f"{_SMOOTHING}gaussian_smoothing.py::test_draws_are_unbiased_for_a_step": (Unbiased(2, 99_999, 3),),
    f"{_SMOOTHING}guided_smoothing.py::covariance_of_probes": (Errors(6.2, 6, 9),),
    f"{_SMOOTHING}orthogonal_smoothing.py::test_draws_are_unbiased_for_what_the_law_says": (Unbiased(3, 39_999, 8),),
    f"{_SMOOTHING}orthogonal_smoothing.py::test_an_incomplete_last_group_counts_for_its_share": (
        Unbiased(1, 59_999, 3),
    ),
    f"{_SMOOTHING}orthogonal_smoothing.py::test_orthogonal_directions_beat_independent_ones_by_the_law_of_cosines": (
        Unbiased(1, 2_999, 5, 1.0),
    ),
    f"{_SMOOTHING}probes.py::test_noise_that_a_pair_shares_in_part_adds_the_rest_of_it": (Unbiased(1, 39_999, 3, 2),),
    f"{_SMOOTHING}sobol_smoothing.py::test_draws_are_unbiased_for_the_gaussian_kernel": (Unbiased(3, 39_999, 6),),
    f"{_SMOOTHING}sobol_smoothing.py::test_halving_the_groups_doubles_the_variance": (Errors(6.6),),
    f"{_SMOOTHING}sphere_smoothing.py::test_draws_are_unbiased_for_a_step": (Unbiased(3, 99_999, 3),),
    f"{_SMOOTHING}sphere_smoothing.py::test_directions_are_uniform_on_the_sphere": (
        Unbiased(5, 199_999, skewness=1.4),
    ),
    f"{_SMOOTHING}spsa.py::test_draws_are_unbiased_for_the_component_kernels": (Unbiased(3, 99_999, 3),),
    "estimators/test_heavy_tails.py::test_the_rate_of_a_skewed_t_test_is_that_of_the_formula": (
        Errors(6.5, 2, 3, freedom=999),
    ),
    # 10⁻¹⁰ for each number at most, which the test itself finds of their skewness
    "estimators/test_heavy_tails.py::test_bounded_costs_have_the_gradient_they_should": (Exactly(5e-8 / 63, 63),),
    "estimators/test_saturation.py::"
    "test_arm_is_0_in_the_mean_at_settled_bits_beside_others_and_disarm_in_every_estimate": (
        Errors(6.5, 2, freedom=1_999),
    ),
    "experiments/agents/test_horizon_script.py::test_both_scores_have_the_exact_gradient_as_their_mean": (
        Errors(6.5, 4, freedom=19_999),
    ),
    "experiments/agents/test_contrast_script.py::test_the_exact_critic_gives_the_exact_policy_gradient": (
        Errors(8, 8, freedom=99),
    ),
    "experiments/lecture/test_redundancy_script.py::test_a_wrong_label_is_never_the_true_one_and_a_right_one_stays": (
        Errors(6.2),
    ),
    "experiments/score_function/test_logistic_script.py::test_measured_means_agree_between_methods": (
        Errors(9, 5 * 62, 2, freedom=199),
    ),
    "experiments/zeroth_order/test_approximations.py::"
    "test_squares_of_errors_are_within_the_law_of_their_noise_and_not_within_another": (
        Errors(6.2, cases=2, freedom=2_999, skewness=0.5),
    ),
    "experiments/zeroth_order/test_cosines.py::test_the_mean_cosine_is_that_of_random_directions": (
        Errors(6.2, 2, 3, freedom=19_999, skewness=1.5),
    ),
    "experiments/zeroth_order/test_nonsmooth_script.py::"
    "test_one_side_of_a_pair_sees_the_needle_with_the_chance_of_all_coordinates_together": (Exactly(1e-9),),
    "mutants/test_wrong_directions_are_caught.py::prove_uniform_rotation": (Unbiased(1, math.inf, 2),),
    "mutants/test_wrong_directions_are_caught.py::prove_hadamard_rows": (Unbiased(24, math.inf),),
    "mutants/test_wrong_directions_are_caught.py::prove_spread_on_the_sphere": (Unbiased(1, 99_999, skewness=1.4),),
    "mutants/test_wrong_directions_are_caught.py::prove_inclusion": (Unbiased(5, math.inf),),
    # eight problems, two ways of two or three gradients; two across a sphere, two in the logits, one of survival
    "problems/test_estimates_meet_the_truth.py::prove_unbiased": (
        Unbiased(3, 19_999, 8 * 2 + 2 + 2),
        Unbiased(1, 1_999),
    ),
    "problems/test_estimates_meet_the_truth.py::"
    "test_gaussian_smoothing_and_score_function_meet_the_smoothed_and_the_expected_gradient": (Unbiased(3, 19_999, 8),),
    "problems/test_lqr_problem.py::test_pathwise_gradients_have_the_exact_mean_and_are_the_slopes_of_their_runs": (
        Unbiased(6, 19_999),
    ),
    "proofs/descent.py::prove_picks_are_uniform_and_independent": (Exactly(1e-10, 2),),
    "proofs/descent.py::prove_an_epoch_is_a_new_permutation": (Exactly(1e-10), Exactly(8.3e-9)),  # Poisson, >= 20 of 4
    "proofs/descent.py::prove_batches_of_the_stream_scatter_as_means_do": (Exactly(1e-10, 2),),
    "proofs/paths.py::prove_drawn_means": (Errors(6.5, 10, 2, freedom=39_999),),
    "proofs/problems.py::prove_runs": (Unbiased(6, 19_999, 3 * (2 + 3 + 6)),),
    "quality/test_quality.py::test_variance_error_and_signal_to_noise_are_the_known_ones": (Errors(6.11, 3, 8),),
    "quality/test_quality.py::test_the_cosine_of_one_direction_is_that_of_a_random_one": (Errors(6.11),),
    "quality/test_quality.py::test_the_interval_of_the_bias_holds_it_as_often_as_it_says": (
        Exactly(1e-9, 18),
        Errors(6.11, cases=3),
    ),
    "quality/test_quality.py::test_the_debiased_norm_does_not_call_noise_a_bias": (Exactly(1e-9),),
    "runs/test_statistics.py::test_a_fixed_case_has_the_numbers_of_rliable": (Errors(8, 2),),
    "runs/test_statistics.py::assert_ends_are_exact": (Exactly(1e-10, 4),),
    "runs/test_statistics.py::assert_coverage": (Exactly(1e-9),),
    "test_keys.py::test_streams_of_neighbouring_seeds_are_uncorrelated": (Exactly(6e-9),),
    "test_keys.py::test_normals_follow_the_normal_law": (Exactly(1e-9),),
    "test_keys.py::test_the_two_normals_of_a_pair_are_independent": (Unbiased(4, math.inf),),
    "test_keys.py::test_signs_are_fair_and_independent": (Unbiased(7, math.inf),),
    "testing/test_spread.py::test_a_rate_of_a_tenth_is_a_tenth": (Errors(6.2),),
    "testing/test_power.py::test_the_test_of_a_mean_errs_as_often_as_it_says": (Errors(6.2), Exactly(1e-9)),
}
