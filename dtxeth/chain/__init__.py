"""All that knows web3: providers, deployment, typed contract bindings, events, accounts.

::

    chain = open_chain()                                  # in-process; or open_chain("http://127.0.0.1:8545")
    owner = Account.create()
    chain.faucet(owner.address, 10**18)                   # development chains only
    contracts = Contracts(chain, deploy(chain, owner))
    receipt = contracts.file_registry.add_namespace("study", 3, sender=owner)
    added = receipt.event(NamespaceAdded)                 # of dtxeth.chain.bindings.events
    contracts.file_registry.namespace_of(added.namespace_id)

A refusal raises the class of :mod:`dtxeth.chain.reverts` that is named like the contract's custom error.
"""

from dtxeth.chain import reverts
from dtxeth.chain.accounts import (
    Account,
    Keystore,
    create_keystore,
    list_keystores,
    load_keystore,
    recover_typed,
)
from dtxeth.chain.chain import Chain, open_chain
from dtxeth.chain.contracts import Contracts
from dtxeth.chain.deploy import Deployment, Parameters, deploy, load_deployment
from dtxeth.chain.event_index import EventIndex, Page
from dtxeth.chain.receipt import Receipt

__all__ = [
    "Account",
    "Chain",
    "Contracts",
    "Deployment",
    "EventIndex",
    "Keystore",
    "Page",
    "Parameters",
    "Receipt",
    "create_keystore",
    "deploy",
    "list_keystores",
    "load_deployment",
    "load_keystore",
    "open_chain",
    "recover_typed",
    "reverts",
]
