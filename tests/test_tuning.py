"""tune: points inside their ranges, the better third goes on from where it was, failed trials come last."""

import math
import tomllib
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from rllab import tuning
from rllab.agents import load, tuned
from rllab.agents.base import known_agents
from rllab.agents.named import agent_called, arguments_of
from rllab.agents.tuned_settings import FOLDER, as_toml, read_tuned
from rllab.cli import main
from rllab.runs import load_records
from rllab.tuning import FIRST_SEED, RANGES, Range, Trial, _scored, points, range_like_own, ranges_of, tune

SMALL = {"hidden": (), "population": 4}
LR = {"lr": Range(1e-3, 1.0, "log")}


def test_a_range_spreads_as_its_scale_says():
    assert Range(0.0, 2.0).at(0.25) == 0.5
    assert Range(1e-4, 1e-2, "log").at(0.5) == 1e-3
    assert Range(0.9, 0.999, "below-one").at(0.5) == 0.99
    assert Range(8, 128, "log", whole=True).at(0.5) == 32
    for r in (Range(0.0, 2.0), Range(1e-4, 1e-2, "log"), Range(0.9, 0.999, "below-one")):
        assert (r.at(0.0), r.at(1.0)) == (r.low, r.high)


def test_a_schedule_goes_over_all_steps_of_a_trial_not_over_its_first_rung(tmp_path):
    ranges = {"delta_std": Range(0.1, 0.2)}
    fixed = {"lr": "linear(0.1,0)", "n_delta": 1, "n_top": 1, "hidden": ()}
    tune("ars", "CartPole-v1", tmp_path, steps=270, trials=3, seeds=1, ranges=ranges, fixed=fixed, processes=1)
    first, *_ = sorted(tmp_path.glob("rung0-*/agent.pt"))
    assert load(first).lr.steps == 270
    assert "linear(0.1,0)" in (tmp_path / "tuned.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((2, 1), "in order"),
        ((0, 1, "log"), "log scale"),
        ((0.5, 1.0, "below-one"), "below-one"),
        ((0, 1, "exp"), "scale"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        Range(*arguments)


def test_points_fill_every_half_of_every_range_alike():
    ranges = {"a": Range(0.0, 1.0), "b": Range(0.0, 1.0), "c": Range(0.0, 1.0)}
    u = np.array([list(point.values()) for point in points(ranges, 64)])
    for j in range(
        3
    ):  # a Sobol' sequence of 2^m points has as many in each dyadic piece; four digits may cross an edge
        counts = np.histogram(u[:, j], 16, (0, 1))[0]
        assert abs(counts - 4).sum() <= 4  # of 64 independent points it is some 24
    assert points(ranges, 5) == points(ranges, 64)[:5]


def test_the_ranges_of_every_agent_are_settings_it_has():
    assert set(RANGES) >= {kind.__name__.lower() for kind in known_agents() if kind.__module__.startswith("rllab.")}
    for name, ranges in RANGES.items():
        if name in {kind.__name__.lower() for kind in known_agents()}:
            arguments_of(agent_called(name), {setting: r.at(0.5) for setting, r in ranges.items()})


def test_ranges_that_are_given_join_the_agents_own_and_what_is_fixed_leaves_them():
    own, narrow, new = RANGES["td3"], Range(0.9, 0.97, "below-one"), Range(32, 256, "log", whole=True)
    assert ranges_of("td3", {}) == own
    assert ranges_of("TD3", {"gamma": narrow, "batch_size": new}) == own | {"gamma": narrow, "batch_size": new}
    assert list(ranges_of("td3", {"gamma": narrow}, fixed={"lr": 1e-3})) == ["gamma", "tau", "action_noise"]
    assert ranges_of("td3", {"gamma": narrow}, only=("tau", "gamma")) == {"tau": own["tau"], "gamma": narrow}
    with pytest.raises(ValueError, match="either fixed or searched in a range, got both for gamma"):
        ranges_of("td3", {"gamma": narrow}, fixed={"gamma": 0.9})
    with pytest.raises(ValueError, match=r"only must name settings with a range, of lr, gamma, tau, .* got zzz"):
        ranges_of("td3", {}, only=("zzz",))
    with pytest.raises(ValueError, match="ranges must be given: SAC has none of its own beside what is fixed"):
        ranges_of("sac", {}, fixed=RANGES["sac"])


def test_a_range_from_two_ends_is_of_the_kind_of_the_agents_own():
    assert range_like_own("td3", "gamma", 0.9, 0.97) == Range(0.9, 0.97, "below-one")
    assert range_like_own("td3", "gamma", 0.9, 0.97, "linear") == Range(0.9, 0.97)
    assert range_like_own("evolution", "population", 4, 8) == Range(4, 8, "log", whole=True)
    assert range_like_own("td3", "batch_size", 32, 256, "log") == Range(32, 256, "log", whole=True)
    assert range_like_own("td3", "target_policy_noise", 0.1, 0.3) == Range(0.1, 0.3)


@pytest.mark.parametrize(
    ("method", "fixed", "says"),
    [
        (
            "td3",
            {},
            r"3 of 3 trials .* has 100 steps, .* up to 1,002\. .* of 9,018 or more, or a smaller learning_s",
        ),
        ("ppo", {"num_envs": 2, "n_steps": 64}, "takes up to 128.* Give steps of 1,152 or more, or a smaller n_steps"),
    ],
)
def test_a_first_rung_too_short_for_an_update_is_warned_of_before_any_work(tmp_path, monkeypatch, method, fixed, says):
    def begins(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "sweep", begins)
    on = {"steps": 900, "trials": 3, "seeds": 1}
    with pytest.warns(UserWarning, match=says), pytest.raises(KeyboardInterrupt):
        tune(method, "Pendulum-v1", tmp_path, **on, fixed=fixed)
    enough = {"td3": {"learning_starts": 98}, "ppo": {"num_envs": 1, "n_steps": 64}}[method]
    with pytest.raises(KeyboardInterrupt):  # and no warning
        tune(method, "Pendulum-v1", tmp_path, **on, fixed=enough)
    agent = agent_called(method)("Pendulum-v1", 0, **enough)
    agent.learn({"td3": 99, "ppo": 63}[method])
    assert agent.spent.updates == 0
    agent.learn(1)  # up to 100, or 64
    assert agent.spent.updates > 0


def search(folder, **options):
    on = {"steps": 1800, "trials": 7, "seeds": 2, "ranges": LR, "fixed": SMALL, "episodes": 2, "processes": 1}
    return tune("evolution", "CartPole-v1", folder, **{**on, **options})


@pytest.mark.slow
def test_the_better_third_goes_on_from_where_it_was(tmp_path):
    found = search(tmp_path / "t")
    assert sorted(len(trial.scores) for trial in found.trials) == [1, 1, 1, 1, 2, 2, 3]
    records = {record.folder.name: record for record in load_records(tmp_path / "t")}
    assert len(records) == 2 * (7 + 3 + 1)
    first = {
        t.number: np.mean([records[f"rung0-trial{t.number}-{FIRST_SEED + s}"].summary["score"] for s in (0, 1)])
        for t in found.trials
    }
    on = {trial.number for trial in found.trials if len(trial.scores) > 1}
    assert min(first[n] for n in on) >= max(first[n] for n in set(first) - on)
    last = records[f"rung2-trial{found.best.number}-{FIRST_SEED}"]
    middle = load(tmp_path / "t" / f"rung1-trial{found.best.number}-{FIRST_SEED}" / "agent.pt")
    assert last.rows[0]["steps"] > middle.spent.steps  # it did not begin anew
    assert last.rows[-1]["steps"] <= 1800
    for rung, steps in enumerate((200, 600, 1800)):
        ends = {r.config["to"] for name, r in records.items() if name.startswith(f"rung{rung}-")}
        assert ends == {steps}
    runs = [[f"rung{rung}-trial{found.best.number}-{FIRST_SEED + s}" for s in (0, 1)] for rung in range(3)]
    each = [np.mean([records[name].summary["score"] for name in names]) for names in runs]
    assert found.best.scores == pytest.approx([np.mean(each[:k]) for k in (1, 2, 3)])
    scores = found.best.scores
    assert scores == max((t.scores for t in found.trials if len(t.scores) == 3), key=lambda s: s[-1])
    assert tuned("Evolution", "CartPole-v1", path=found.path) == found.best.settings | {"hidden": []}
    entry = read_tuned("evolution", found.path)["CartPole-v1"]
    assert entry["provenance"]["score"] == scores[-1] and "7 points, 2 seeds from 1000" in entry["provenance"]["source"]


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(tmp_path, monkeypatch):
    whole = search(tmp_path / "whole", seeds=1)
    calls = []

    def killed(*arguments, **options):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return evaluate(*arguments, **options)

    kind = agent_called("evolution")
    evaluate = kind.evaluate
    with monkeypatch.context() as patch:
        patch.setattr(kind, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "t", seeds=1)
    again = search(tmp_path / "t", seeds=1, resume=True)
    assert again.trials == whole.trials and again.best == whole.best


def test_a_trial_that_fails_is_the_worst_and_ends_nothing(tmp_path, monkeypatch):
    kind = agent_called("evolution")
    learn = kind._iterate

    def breaks(self, limit):
        if self.lr > 0.03:
            raise FloatingPointError("weights are no numbers")
        return learn(self, limit)

    monkeypatch.setattr(kind, "_iterate", breaks)
    found = search(tmp_path / "t", seeds=1)
    failed = [trial for trial in found.trials if trial.scores[0] == -math.inf]
    assert {trial.number for trial in failed} == {t.number for t in found.trials if t.settings["lr"] > 0.03}
    assert failed and found.best.settings["lr"] <= 0.03
    monkeypatch.setattr(kind, "_iterate", lambda self, limit: 1 / 0)
    with pytest.raises(ValueError, match="no trial could be finished"):
        search(tmp_path / "u", seeds=1, trials=2)


def test_a_trial_of_which_one_seed_fails_has_failed():
    summaries = (
        {"score": 5.0, "updates": 3},
        {"score": None},
        {"score": 1.0, "updates": 3},
        {"score": 2.0, "updates": 4},
    )
    records = [SimpleNamespace(summary=summary) for summary in summaries]
    first, second = _scored([Trial(0, {}, (4.0,)), Trial(1, {}, (4.0, 3.0))], records, seeds=2)
    assert first.scores == (4.0, -math.inf) and second.scores == (4.0, 3.0, 2.5)  # of 4, 2 and 1.5
    assert first.updates == 0 and second.updates == 3


def test_a_trial_without_an_update_ranks_behind_those_that_learned(tmp_path):
    # episodes of an untrained policy take 9 steps or more: an update of a population of 210 does not fit into 1,800
    options = {"ranges": {"population": Range(2, 250, "log", whole=True)}, "trials": 4, "seeds": 1}
    options |= {"fixed": {"hidden": ()}}
    found = search(tmp_path / "t", **options)
    untaught = [trial for trial in found.trials if trial.updates == 0]
    assert untaught and all(len(trial.scores) == 1 for trial in untaught)
    assert found.best.updates > 0 and found.best == max(found.trials, key=lambda trial: trial.rank)
    with pytest.raises(
        ValueError, match="tune: steps must suffice for an update of some trial, got 1,800: none learned"
    ):
        search(tmp_path / "u", **(options | {"ranges": {"population": Range(210, 250, whole=True)}}))


def test_a_winner_on_an_edge_is_said(tmp_path):
    from rllab.tuning import _on_edge

    assert _on_edge(1.04e-3, LR["lr"]) and _on_edge(0.99, LR["lr"]) and not _on_edge(0.03, LR["lr"])
    assert isinstance(search(tmp_path / "t", seeds=1, trials=1, steps=900).best, Trial)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trials": 2.5}, r"tune: trials must be an integer >= 1, got 2\.5"),
        ({"episodes": 0}, "tune: episodes must be an integer >= 1, got 0"),
        ({"fixed": {"hidden": "many"}}, "Evolution: hidden must be widths"),
        ({"fixed": {**SMALL, "observation_scale": None}}, "a setting must be a number, text, .* got None"),
        ({"ranges": {"zzz": Range(0, 1)}}, "Evolution has no setting 'zzz'"),
    ],
)
def test_what_cannot_be_searched_is_named_before_any_work(tmp_path, options, says):
    with pytest.raises(ValueError, match=says):
        search(tmp_path / "t", **options)
    assert not (tmp_path / "t").exists()
    with pytest.raises(TypeError, match="Range: low must be a number, got '1'"):
        Range("1", 2)  # type: ignore[arg-type] - that is the test


def test_what_is_written_is_read_back():
    text = 'a "b" \\ \n \x7f \x1b ∇'
    settings = {"lr": 1e-3, "hidden": (64, 64), "estimator.sigma": 0.1, "name": text, "flag": True}
    settings |= {"gamma": np.float64(0.9), "n": np.int64(3), "on": np.True_, text: math.inf}
    text = as_toml("rllab_envs:rllab/BicycleBalance-v0", settings, {"source": "trials"})
    entry = tomllib.loads(text)["rllab/BicycleBalance-v0"]
    assert entry["settings"] == settings | {"hidden": [64, 64]}
    assert entry["provenance"] == {"source": "trials"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_settings_of_the_package_say_where_they_are_from_and_fit_their_agent(path):
    kind = agent_called(path.stem)
    for environment, entry in read_tuned(path.stem).items():
        assert entry["provenance"]["source"].startswith(("trials", "published"))
        arguments = arguments_of(kind, tuned(path.stem, environment))
        if environment in gymnasium.registry and "mujoco" not in str(gymnasium.spec(environment).entry_point):
            kind(environment, 0, **arguments)


def test_a_pair_without_settings_is_named_with_those_there_are(tmp_path):
    with pytest.raises(
        ValueError,
        match="no settings for nobody on CartPole-v1; for nobody there are none; on CartPole-v1 there are none",
    ):
        tuned("nobody", "CartPole-v1")
    (tmp_path / "bad.toml").write_text("[a]\nb = 1\n")
    with pytest.raises(ValueError, match="settings and provenance for a"):
        tuned("evolution", "a", path=tmp_path / "bad.toml")


def test_the_command_searches_and_says_what_it_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = "--method evolution --trials 2 --steps 90 --seeds 1 --processes 1 --set hidden=() population=2"
    main(["tune", "CartPole-v1", *flags.split(), "--range", "estimator.estimator.sigma=0.05:0.5"])
    out = capsys.readouterr().out
    file = "results/tune-CartPole-v1-evolution/tuned.toml"
    assert "estimator.sigma" in out and "averaged over the trial's rungs" in out and f"written: {file}" in out
    assert f"rllab train CartPole-v1 --method evolution --tuned-file {file}" in out
    entry = read_tuned("evolution", file)["CartPole-v1"]
    searched = {name.removeprefix("range of ") for name in entry["provenance"] if name.startswith("range of ")}
    assert searched == {"lr", "estimator.estimator.sigma"}  # lr in the agent's own range; population is fixed
    assert entry["settings"]["population"] == 2 and 0.05 <= entry["settings"]["estimator.estimator.sigma"] <= 0.5

    main([*f"train CartPole-v1 --method evolution --tuned-file {file} --steps 60 --seeds 1 --episodes 1".split()])
    found = load("results/CartPole-v1-evolution/evolution-0/agent.pt")
    assert found.population == 2 and found.lr == entry["settings"]["lr"]
