"""Settings: what becomes of a hyperparameter that is set after its agent was made."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from rllab.agents.setting_names import no_setting


class _SignatureOfInit:
    """What `help` and `inspect.signature` show of a class whose `__new__` takes every name, to refuse some."""

    def __get__(self, agent: object, kind: type) -> inspect.Signature:
        signature = inspect.signature(kind.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


@dataclass(eq=False)
class Settings(ABC):
    """Refuse names that are no hyperparameter's; check one that is set later, and refuse it if it was used before.

    Attributes:
        fixed: names of those that are used only where the agent is made.
    """

    fixed: ClassVar[tuple[str, ...]] = tuple(
        "environment seed hidden observation_scale environment_arguments wrappers normalize_observations vectorization "
        "actor".split()
    )
    _made = False  # True of an agent that is set up
    __signature__ = _SignatureOfInit()

    def __new__(cls, *_: Any, **given: Any) -> Self:
        parameters = cls.__signature__.parameters
        unknown = [name for name in given if name not in parameters]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            raise TypeError(no_setting(cls.__name__, unknown[0], parameters))
        return super().__new__(cls)

    @abstractmethod
    def _check(self) -> None:
        """Check all hyperparameters, and bring them into the form that is kept."""

    def __setattr__(self, name: str, value: Any) -> None:
        if self._made and name in self.__dataclass_fields__:
            if name in self.fixed:
                raise AttributeError(
                    f"{self._name}: {name} is fixed once the agent is made; make another, {self._name}(…, {name}=…), "
                    f"or load a saved one with it, load(path, {name}=…), where its state fits"
                )
            value = getattr(self._alike(**{name: value}), name)
        elif self._made and name[0] != "_" and name not in vars(self) and name not in dir(type(self)):
            names = [f.name for f in fields(self) if f.name not in self.fixed]
            raise AttributeError(no_setting(self._name, name, names, "what may be set:"))
        super().__setattr__(name, value)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _alike(self, **changed: Any) -> Self:
        """Return an agent of the same hyperparameters but those changed, all checked, that has yet to be set up."""
        other = object.__new__(type(self))
        for f in fields(self):
            setattr(other, f.name, changed.get(f.name, getattr(self, f.name)))
        other._check()
        return other

    def _plain_numbers(self) -> None:
        """Turn numpy's numbers into Python's, which are stored and saved."""
        for name, value in vars(self).items():
            if isinstance(value, np.generic):
                setattr(self, name, value.item())
