"""What `rllab train` takes and says, beside the other commands."""

import pytest

from rllab.agents import tuned
from rllab.cli import main
from rllab.cli.learning import _result
from rllab.runs import Record, load_records
from rllab.runs.series import curves_by_task
from rllab.runs.standings import ranked


def test_train_and_compare_give_the_same_interval_of_the_same_returns(tmp_path):
    returns = [3.0, 9.5, 1.0, 8.0, 2.5, 7.0, 4.0, 6.0, 5.5, 0.5, 11.0]
    for method in ("ppo", "sac"):  # with eleven seeds, whose folders are not in their order
        for seed, value in enumerate(returns):
            with Record.create(tmp_path / f"{method}-{seed}", {"method": method}, seed=seed) as record:
                record.append({"steps": 1, "evaluation": 0.0})
                record.finish(**{"return": value})
    ((task, curves),) = curves_by_task(load_records(tmp_path)).items()
    standings, _ = ranked(task, curves, key=0)
    said = {f"interval {standing.low:.5g} to {standing.high:.5g}" for standing in standings}
    assert len(said) == 1 and said.pop() in _result(returns, "Pendulum-v1", "ppo")


def test_train_takes_the_settings_that_are_kept_and_what_is_given_in_their_place(tmp_path, capsys):
    id = "rllab_envs:rllab/BicycleBalance-v0"
    flags = ["--seeds", "1", "--steps", "300", "--episodes", "1", "--processes", "1", "--out", str(tmp_path)]
    main(["train", id, "--method", "reinforce", "--tuned", "--set", "episodes=2", *flags])
    (record,) = load_records(tmp_path)
    assert record.config["given"] == tuned("Reinforce", id) | {"episodes": 2}
    with pytest.raises(SystemExit):
        main(["train", "CartPole-v1", "--method", "reinforce", "--tuned", *flags])
    has = "for reinforce there are those on rllab/BicycleBalance-v0; on CartPole-v1 there are none"
    assert f"no settings for reinforce on CartPole-v1; {has}\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "Pendulum-v1", "--method", "crossq", "--tuned", *flags])
    has = "for crossq there are none; on Pendulum-v1 there are those for ars"
    assert f"no settings for crossq on Pendulum-v1; {has}\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "Pendulum-v1", "--method", "crosq", "--tuned", *flags])
    assert "method must be one of ars, crossq, " in capsys.readouterr().err


def test_steps_of_a_rollout_that_was_cut_off_are_said_to_have_taught_nothing(tmp_path, capsys):
    flags = "--method ppo --seeds 1 --episodes 1 --processes 1 --set num_envs=1 n_steps=64 batch_size=32 hidden=4,"
    for steps, said in ((150, "the last 22 steps taught nothing"), (128, None)):
        main(["train", "CartPole-v1", *flags.split(), "--steps", str(steps), "--out", str(tmp_path / str(steps))])
        out = capsys.readouterr().out
        assert said in out if said else "taught nothing" not in out

    with pytest.raises(SystemExit):
        main(["train", "CartPole-v1", *flags.split(), "--steps", "256", "--out", str(tmp_path / "128"), "--resume"])
    err = capsys.readouterr().err
    assert "steps is 128 there and 256 now" in err and "128/ppo-0/agent.pt'), then rllab.fit(agent, MORE_STEPS)" in err
