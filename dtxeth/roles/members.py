"""A network and those who have joined it from here, by name: what a process of one's own and a whole one share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from dtxeth.chain import Account
from dtxeth.config import OwnerConfig
from dtxeth.learning.policy import Policy
from dtxeth.roles.actor import Actor
from dtxeth.roles.care import DEFAULT_CARE, Care
from dtxeth.roles.data_owner import DataOwner
from dtxeth.roles.executor import Executor
from dtxeth.roles.network import Network
from dtxeth.roles.operator import StorageOperator
from dtxeth.roles.requester import Requester
from dtxeth.roles.storage_node import StorageNode

DEFAULT_REPLICAS = 2
"""Replicas of a namespace that is added by uploading into it."""

A = TypeVar("A", bound=Actor)

_RULES = tuple(rule.name for rule in fields(Policy) if rule.name in OwnerConfig.model_fields)
"""What an owner's settings and its policy have in common."""


class MemberNetwork(Network, ABC):
    """A network with a folder of its own, and the actors that take part in it from this process.

    Attributes:
        home: The folder.
    """

    home: Path

    def data_owner(
        self, name: str, policy: Policy | None = None, *, manual: bool = False, care: Care | None = None
    ) -> DataOwner:
        """The data owner of this name, who joins the network if new.

        Args:
            name: Letters, digits, dots, dashes and underscores.
            policy: Rules by which it answers applications for its files; by default those that it had before, or the
                default ones.
            manual: Leave applications to be answered by hand.
            care: How its worker looks after its files; by default as before, or the default way.

        Raises:
            ConfigError: Its ``owner.toml`` is not valid.
        """
        path = self.home / "owners" / f"{name}.toml"
        known = OwnerConfig.load(path) if path.exists() else _with_care(OwnerConfig(), DEFAULT_CARE)
        config = known if policy is None and not manual else _with_policy(known, policy or Policy(), manual)
        if care is not None:
            config = _with_care(config, care)
        owner = self.join_owner(name, config)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        config.save(path)
        return owner

    def join_owner(self, name: str, config: OwnerConfig) -> DataOwner:
        """The data owner of this name, with these settings."""
        policy, care = to_policy(config), to_care(config)
        owner = self.join("owner", name, lambda account: DataOwner(self, account, name, policy))
        owner.policy, owner.manual, owner.care = policy, config.manual, care
        owner.default_replicas = DEFAULT_REPLICAS
        return owner

    def requester(self, name: str) -> Requester:
        """The requester of this name, who joins the network if new."""
        return self.join("requester", name, lambda account: Requester(self, account, name))

    @abstractmethod
    def operator(self, name: str) -> StorageOperator:
        """Who decides about the storage node of this name.

        Raises:
            UnknownNameError: It is no node of this network's members.
        """

    @property
    def actors(self) -> list[Actor]:
        """Everybody who has joined or come back since the network was opened."""
        return list(self._actors.values())

    @property
    def storage_nodes(self) -> list[StorageNode]:
        """The running storage nodes."""
        return [actor for actor in self.actors if isinstance(actor, StorageNode)]

    @property
    def executors(self) -> list[Executor]:
        """The running executors."""
        return [actor for actor in self.actors if isinstance(actor, Executor)]

    def join(self, role: str, name: str, make: Callable[[Account], A]) -> A:
        """The actor of this role and name, made of its account if it was not here yet."""
        known = self._actors.get((role, name))
        if known is not None:
            return cast(A, known)  # the role decides the class
        actor = make(self._account(role, name))
        self._actors[role, name] = actor
        if self._drives(role):
            self.add_worker(actor)
        return actor

    def close(self) -> None:
        """Let go of all files and connections."""
        for node in self.storage_nodes:
            node.service.close()
        for executor in self.executors:
            executor.close()
        self.index.close()
        self.chain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _account(self, role: str, name: str) -> Account:
        """The account of an actor, with money."""

    def _drives(self, role: str) -> bool:
        """Whether actors of a role work in this process."""
        return True

    @property
    def _actors(self) -> dict[tuple[str, str], Actor]:
        actors: dict[tuple[str, str], Actor] = vars(self).setdefault("_joined", {})
        return actors


def to_policy(config: OwnerConfig) -> Policy:
    """The rules among an owner's settings."""
    rules = {name: getattr(config, name) for name in _RULES}
    sets: dict[str, Any] = {k: frozenset(v) if isinstance(v, list) else v for k, v in rules.items()}
    return Policy(**sets)


def to_care(config: OwnerConfig) -> Care:
    """The care among an owner's settings."""
    return Care(config.challenges_per_day, config.offline_grace_seconds, config.repairs)


def _with_policy(config: OwnerConfig, policy: Policy, manual: bool) -> OwnerConfig:
    rules = {name: getattr(policy, name) for name in _RULES}
    rules = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in rules.items()} | {"manual": manual}
    return OwnerConfig.of("the policy", **config.model_dump() | rules)


def _with_care(config: OwnerConfig, care: Care) -> OwnerConfig:
    return OwnerConfig.of("the care", **config.model_dump() | asdict(care))
