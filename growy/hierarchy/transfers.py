"""A device changes its owner: the steps, and what becomes of them when somebody is silent, crashes or changes its mind.
Pure.

`check → prepare → revoke → grant → adopt → done`. Every step is on disk before it is acted upon, so a God that crashes
goes on where it was. Up to `revoke` nothing has happened; from `grant` on the old owner cannot come back by itself.
"""

from __future__ import annotations

import math

import msgspec

from growy.hierarchy.conflicts import WishVerdict, settle_wish
from growy.hierarchy.effects import Drop, Effects, Freeze, Note, Persist, Survey, Tell
from growy.hierarchy.realm import Realm, Transfer, TransferPlan, chain_data
from growy.model.audit import AuditSeverity
from growy.model.errors import EspNotFound
from growy.model.handover import HandedOver
from growy.model.hierarchy import GOD, ChainStatus, ChainType, CommandChain, NodeId, NodeState, TransferStep
from growy.model.time import Moment
from growy.model.tree_errors import ChainEnded, NodeNotFound, TransferRefused
from growy.model.tree_messages import Orders, Revoke, Withdraw

Step = TransferStep


def begin(
    realm: Realm,
    command_id: str,
    esp_id: str,
    plan: TransferPlan,
    moment: Moment,
    out: Effects,
    *,
    kind: ChainType = ChainType.TRANSFER,
    issued_by: str = "",
) -> CommandChain:
    """Check, and begin.

    Raises:
        EspNotFound, NodeNotFound.
        TransferRefused: not_owner, same_owner, under_way, offline, leaving, full, no_leave.
    """
    verdict = _check(realm, esp_id, plan)
    step = Step.PREPARE if verdict is WishVerdict.GRANTED else Step.LEAVE
    chain = CommandChain(
        command_id=command_id,
        god_id=realm.god_id,
        kaiser_id=plan.to_owner,
        command_type=kind,
        esp_id=esp_id,
        command_data=chain_data(plan),
        status=ChainStatus.PENDING if step is Step.LEAVE else ChainStatus.RUNNING,
        step=step,
        issued_by=issued_by,
        created_ms=moment.wall_ms,
    )
    transfer = Transfer(chain, plan, deadline=math.inf)
    realm.transfers[esp_id] = transfer
    _enter(realm, transfer, step, moment, out)
    advance(realm, transfer, moment, out)
    return chain


def resume(realm: Realm, chain: CommandChain, moment: Moment, out: Effects) -> None:
    """One that was under way when God last stopped: its step begins again."""
    plan = msgspec.convert(chain.command_data, TransferPlan)
    transfer = Transfer(chain, plan, deadline=math.inf)
    assert chain.step is not None
    transfer.deadline = moment.clock + _allowed_s(realm, chain.step)
    realm.transfers[transfer.esp_id] = transfer
    record = realm.records[transfer.esp_id]
    if transfer.revokes and record.owner == GOD:
        out.append(Freeze(esp_id=record.esp_id, epoch=record.epoch, hold_s=realm.terms.hold_s))


def approve(realm: Realm, command_id: str, moment: Moment, out: Effects) -> None:
    """A person consents.

    Raises:
        TransferRefused: it no longer waits, or cannot be done any more.
    """
    transfer = find(realm, command_id)
    if transfer is None or transfer.chain.step is not Step.LEAVE:
        raise TransferRefused(f"Transfer {command_id} does not wait for leave", details={"reason": "no_wait"})
    del realm.transfers[transfer.esp_id]
    try:
        _check(realm, transfer.esp_id, msgspec.structs.replace(transfer.plan, wisher=GOD))
    finally:
        realm.transfers[transfer.esp_id] = transfer
    _enter(realm, transfer, Step.PREPARE, moment, out)
    advance(realm, transfer, moment, out)


def cancel(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    """Before the old owner was asked: it is as if it had never been. After that the device goes back, under another
    epoch.

    Raises:
        ChainEnded: the new owner has it already.
    """
    match transfer.chain.step:
        case Step.LEAVE | Step.PREPARE:
            end(realm, transfer, ChainStatus.CANCELLED, "cancelled", moment, out)
        case Step.REVOKE:
            _back_to_owner(realm, transfer, moment, out)
        case Step.GRANT:
            _roll_back(realm, transfer, "cancelled", moment, out)
        case _:
            raise ChainEnded(
                f"Transfer {transfer.id} can no longer be cancelled: {transfer.plan.to_owner} has the device",
                cure="Transfer it back",
            )


def advance(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    """Whatever can be done now."""
    now = moment.clock
    late = now >= transfer.deadline
    to, esp_id = transfer.plan.to_owner, transfer.esp_id
    match transfer.chain.step:
        case Step.LEAVE if late:
            end(realm, transfer, ChainStatus.TIMEOUT, "nobody consented", moment, out)
        case Step.PREPARE:
            if transfer.plan.forced and realm.online(transfer.plan.from_owner):
                end(realm, transfer, ChainStatus.CANCELLED, "the owner is back", moment, out)
            elif to == GOD or (realm.online(to) and realm.is_prepared(to, esp_id)):
                _enter(realm, transfer, Step.REVOKE, moment, out)
                advance(realm, transfer, moment, out)
            elif transfer.plan.forced and (late or not realm.online(to)):
                # The stand-in is not there either.
                _retarget(realm, transfer, GOD)
                _enter(realm, transfer, Step.REVOKE, moment, out)
                advance(realm, transfer, moment, out)
            elif late:
                end(realm, transfer, ChainStatus.TIMEOUT, f"{to} did not get ready", moment, out)
        case Step.REVOKE:
            _close_own(realm, transfer, moment, out)
            if realm.free(esp_id, now):
                _grant(realm, transfer, moment, out)
        case Step.GRANT if late:
            _roll_back(realm, transfer, f"{to} did not take it", moment, out)
        case Step.ADOPT if late:
            # It has the device; that it has said nothing of its outputs changes no owner.
            end(realm, transfer, ChainStatus.TIMEOUT, f"{to} has it, but did not say so", moment, out)
        case Step.ROLL_BACK:
            _close_own(realm, transfer, moment, out)
            if realm.free(esp_id, now):
                _back(realm, transfer, moment, out)
        case _:
            pass


def released(
    realm: Realm, transfer: Transfer, state: HandedOver | None, moment: Moment, out: Effects
) -> None:
    """The owner on record will not act any more."""
    transfer.released = True
    if state is not None:
        transfer.plan = msgspec.structs.replace(transfer.plan, state=state)
    advance(realm, transfer, moment, out)


def held(realm: Realm, transfer: Transfer, *, adopted: bool, moment: Moment, out: Effects) -> None:
    """The new owner has its lease, and perhaps the outputs."""
    if transfer.chain.step is Step.GRANT:
        _enter(realm, transfer, Step.ADOPT, moment, out)
    if adopted and transfer.chain.step is Step.ADOPT:
        end(realm, transfer, ChainStatus.DONE, "", moment, out)


def abandon(realm: Realm, esp_id: str, moment: Moment, out: Effects) -> None:
    """God's records turned out to be older than the truth: what was begun by them does not hold."""
    record, transfer = realm.records.get(esp_id), realm.transfers.get(esp_id)
    if transfer is not None:
        end(realm, transfer, ChainStatus.FAILED, "God's records were older than the truth", moment, out)
    if record is not None and record.owner == GOD:
        out.append(Drop(esp_id=esp_id))


def end(
    realm: Realm, transfer: Transfer, status: ChainStatus, message: str, moment: Moment, out: Effects
) -> None:
    del realm.transfers[transfer.esp_id]
    transfer.chain = ended_chain(transfer, status, message, moment)
    out.append(Persist(chains=(transfer.chain,)))
    _note_end(transfer, status, message, out)


def ended_chain(transfer: Transfer, status: ChainStatus, message: str, moment: Moment) -> CommandChain:
    return msgspec.structs.replace(
        transfer.chain,
        status=status,
        step=Step.DONE if status is ChainStatus.DONE else transfer.chain.step,
        response_data={"message": message} if message else {},
        completed_ms=moment.wall_ms,
    )


def find(realm: Realm, command_id: str) -> Transfer | None:
    return next((one for one in realm.transfers.values() if one.id == command_id), None)


# --- the steps ----------------------------------------------------------------------------------------------------


def _check(realm: Realm, esp_id: str, plan: TransferPlan) -> WishVerdict:
    record = realm.records.get(esp_id)
    if record is None:
        raise EspNotFound(f"There is no device {esp_id}")
    node = realm.nodes.get(plan.to_owner)
    if plan.to_owner != GOD and node is None:
        raise NodeNotFound(f"There is no Kaiser {plan.to_owner}", cure="Add it first")

    def refuse(reason: str, message: str, cure: str = "") -> TransferRefused:
        return TransferRefused(message, cure=cure, details={"reason": reason, "esp_id": esp_id})

    if record.owner != plan.from_owner:
        raise refuse("not_owner", f"{esp_id} belongs to {record.owner}, not to {plan.from_owner}")
    if record.owner == plan.to_owner:
        raise refuse("same_owner", f"{esp_id} belongs to {record.owner} already")
    if esp_id in realm.transfers:
        raise refuse("under_way", f"{esp_id} is being transferred already", "Wait, or cancel that transfer")
    if node is not None:
        if node.state is NodeState.LEAVING:
            raise refuse("leaving", f"{plan.to_owner} is being unregistered")
        if node.state is not NodeState.ONLINE:
            raise refuse("offline", f"{plan.to_owner} is {node.state}", "Start it, or wait until it is heard")
        if realm.load_of(plan.to_owner) >= node.max_esps:
            raise refuse("full", f"{plan.to_owner} has {node.max_esps} devices, and may not have more")
    gives_to = realm.nodes[record.owner].gives_to if record.owner in realm.nodes else ()
    verdict = settle_wish(plan.wisher, record.owner, plan.to_owner, owner_gives_to=gives_to)
    if verdict is WishVerdict.REFUSED:
        raise refuse("no_leave", f"{plan.wisher} has no say about {esp_id}")
    return verdict


def _allowed_s(realm: Realm, step: TransferStep) -> float:
    terms = realm.terms
    lengths = {
        Step.LEAVE: terms.leave_s,
        Step.PREPARE: terms.prepare_s,
        Step.REVOKE: 0.0,
        Step.GRANT: terms.grant_s,
        Step.ADOPT: terms.adopt_s,
        Step.ROLL_BACK: 0.0,
    }
    return lengths[step]


def _enter(realm: Realm, transfer: Transfer, step: TransferStep, moment: Moment, out: Effects) -> None:
    transfer.deadline = moment.clock + _allowed_s(realm, step)
    transfer.released = transfer.surveying = False
    transfer.chain = msgspec.structs.replace(
        transfer.chain,
        step=step,
        status=ChainStatus.PENDING if step is Step.LEAVE else ChainStatus.RUNNING,
        kaiser_id=transfer.plan.to_owner,
        command_data=chain_data(transfer.plan),
    )
    out.append(Persist(chains=(transfer.chain,)))
    if step is Step.PREPARE and transfer.plan.to_owner != GOD:
        realm.ship(transfer.plan.to_owner, transfer.esp_id, moment, out)
    if not transfer.revokes:
        return
    record = realm.records[transfer.esp_id]
    if record.owner == GOD:
        out.append(Freeze(esp_id=record.esp_id, epoch=record.epoch, hold_s=realm.terms.hold_s))
        _close_own(realm, transfer, moment, out)
    else:
        out.append(_revoke(realm, transfer))


def _revoke(realm: Realm, transfer: Transfer) -> Tell:
    record = realm.records[transfer.esp_id]
    return Tell(
        record.owner,
        Orders(
            kaiser_id=record.owner,
            instance=realm.nodes[record.owner].instance,
            god_id=realm.god_id,
            god_instance=realm.instance,
            revokes=(Revoke(esp_id=record.esp_id, epoch=record.epoch),),
        ),
    )


def _close_own(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    """God lets go of a device of its own as a Kaiser does: no home may take its commands any more, then the outputs."""
    record = realm.records[transfer.esp_id]
    if record.owner != GOD or transfer.surveying or transfer.released:
        return
    if moment.clock < realm.passes.over_at(record.esp_id):
        for home in realm.passes.homes(record.esp_id, moment.clock):
            out.append(Tell(home, Withdraw(esp_id=record.esp_id, epoch=record.epoch)))
        return
    transfer.surveying = True
    out.append(Survey(esp_id=record.esp_id, epoch=record.epoch))


def _grant(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    """The device is free: the new epoch, the step and the old owner's last words go to the disk together."""
    plan = transfer.plan
    was_own = realm.records[transfer.esp_id].owner == GOD
    transfer.deadline = moment.clock + realm.terms.grant_s
    transfer.released = transfer.surveying = False
    transfer.chain = msgspec.structs.replace(
        transfer.chain,
        step=Step.ADOPT if plan.to_owner == GOD else Step.GRANT,
        command_data=chain_data(plan),
    )
    if was_own:
        out.append(Drop(esp_id=transfer.esp_id))
    realm.move(transfer.esp_id, plan.to_owner, plan.reason, plan.state, moment, out, chain=transfer.chain)
    if plan.to_owner == GOD:
        transfer.deadline = moment.clock + realm.terms.adopt_s


def _roll_back(realm: Realm, transfer: Transfer, ending: str, moment: Moment, out: Effects) -> None:
    # Whoever has had a lease may have switched something since the old owner's last words.
    state = None if transfer.esp_id in realm.bounds else transfer.plan.state
    transfer.plan = msgspec.structs.replace(transfer.plan, ending=ending, state=state)
    _enter(realm, transfer, Step.ROLL_BACK, moment, out)
    advance(realm, transfer, moment, out)


def _back_to_owner(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    """It may have let go already, so it gets another epoch. Nobody else was ever told of one."""
    owner = transfer.plan.from_owner
    transfer.chain = ended_chain(transfer, ChainStatus.CANCELLED, "cancelled", moment)
    del realm.transfers[transfer.esp_id]
    bound = realm.bounds.get(transfer.esp_id, -math.inf)
    realm.move(transfer.esp_id, owner, "cancelled", transfer.plan.state, moment, out, chain=transfer.chain)
    realm.bounds[transfer.esp_id] = bound
    _note_end(transfer, ChainStatus.CANCELLED, "cancelled", out)


def _back(realm: Realm, transfer: Transfer, moment: Moment, out: Effects) -> None:
    plan = transfer.plan
    back = plan.from_owner
    if plan.forced or (back != GOD and not realm.online(back)):
        back = GOD
    status = ChainStatus.CANCELLED if plan.ending == "cancelled" else ChainStatus.FAILED
    transfer.chain = ended_chain(transfer, status, plan.ending, moment)
    del realm.transfers[transfer.esp_id]
    realm.move(transfer.esp_id, back, "rolled_back", plan.state, moment, out, chain=transfer.chain)
    _note_end(transfer, status, plan.ending, out)


def _retarget(realm: Realm, transfer: Transfer, to: NodeId) -> None:
    transfer.plan = msgspec.structs.replace(transfer.plan, to_owner=to)


def _note_end(transfer: Transfer, status: ChainStatus, message: str, out: Effects) -> None:
    plan = transfer.plan
    text = f"Transfer of {transfer.esp_id} from {plan.from_owner} to {plan.to_owner}: {status}"
    out.append(
        Note(
            event_type="transfer_ended",
            message=f"{text} ({message})" if message else text,
            source_id=transfer.esp_id,
            severity=AuditSeverity.INFO if status is ChainStatus.DONE else AuditSeverity.WARNING,
            details={"command_id": transfer.id, "status": status.value},
        )
    )
