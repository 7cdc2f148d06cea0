"""A control system sees alarms as OPC UA conditions and answers them under the rules of people."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from asyncua import ua

from alerting.adapters.sinks.opcua_alarms.guarded import MOST_UNCONFIRMED
from alerting.adapters.sinks.opcua_alarms.nodes import MOST_ALARM_NODES
from alerting.ports import AuditFilter
from alerting.usecases.access.people import disable_account
from alerting.usecases.operators.operate import Actor, acknowledge
from alerting.usecases.operators.program_acts import WITHOUT_REASON
from alerting.usecases.operators.shelving import shelve, unshelve
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.opcua_alarms import (
    ADD_COMMENT,
    ALARM_TYPE,
    CONDITION_TYPE,
    HANG_S,
    REFRESH,
    UNSHELVE,
    Certificates,
    Scada,
    close_alarm,
    connected,
    plant,
    raise_alarm,
    served,
    token_of,
    until,
)

CODES = ua.StatusCodes
ANNA = Actor("anna", "operator")


@pytest.fixture
def certificates(made_certificates):
    return made_certificates


@pytest.fixture
def platform(in_memory):
    return plant(in_memory)


@pytest.fixture
def stored(stores):
    """Return a plant on stores of each kind."""
    return plant(stores)


def served_to(platform, certificates, work, name="scada", role="operator"):
    """Run a control system of an account against the server."""

    async def scenario():
        secret = token_of(platform, name, role)
        async with (
            served(platform, certificates) as service,
            connected(service, certificates, name, secret) as scada,
        ):
            await work(service, scada)

    asyncio.run(scenario())


def entries(platform, actor):
    """Return actions, subjects and origins of one actor in the audit."""
    found = platform.audit.find(AuditFilter(actor=actor), 50)
    return [(one.what, one.subject, one.origin) for one in found]


def test_an_alarm_is_told_from_its_raise_to_its_end(stored, certificates):
    async def work(_, scada):
        raised = raise_alarm(stored)
        first = await scada.await_event()
        assert first.Message.Text == "Too hot: Above 215."
        assert first.Severity == 700
        assert first.SourceName == "Oven 1"
        assert first.SourceNode == ua.NodeId("asset/oven-1", 2)
        assert first.ConditionName == "too-hot"
        assert getattr(first, "ActiveState/TransitionTime") == at(50)
        assert (getattr(first, "ActiveState/Id"), getattr(first, "AckedState/Id")) == (True, False)
        assert (first.Retain, first.SuppressedOrShelved) == (True, False)
        close_alarm(stored, raised.id)
        over = await scada.await_event(lambda one: getattr(one, "ActiveState/Id") is False)
        assert over.Retain is True, "it is over and not acknowledged"
        acknowledge(stored, raised.id, ANNA, at(71), "cleaned")
        last = await scada.await_event(lambda one: one.Retain is False)
        assert last.ClientUserId == "anna"
        assert last.Comment.Text == "cleaned"
        assert len({one.EventId for one in scada.events}) == len(scada.events) == 3
        assert await scada.refresh() == []

    served_to(stored, certificates, work)


def test_an_acknowledgement_is_that_of_the_program(stored, certificates):
    async def work(service, scada):
        raised = raise_alarm(stored)
        event = await scada.await_event()
        assert await scada.answer(event, text="seen at the panel") == CODES.Good
        answered = stored.episodes.get(raised.id)
        assert answered.acknowledged.actor == "scada"
        assert answered.transitions[-1].reason == "seen at the panel"
        assert entries(stored, "scada") == [("acknowledge", raised.id, "opcua 127.0.0.1")]
        told = await scada.await_event(lambda one: getattr(one, "AckedState/Id"))
        assert told.Comment.Text == "seen at the panel"
        assert await scada.answer(event) == CODES.BadConditionBranchAlreadyAcked
        assert await scada.answer(told, ADD_COMMENT, "valve 3 opened") == CODES.Good
        await scada.await_event(lambda one: one.Comment.Text == "valve 3 opened")
        assert stored.episodes.get(raised.id).transitions[-1].kind == "commented"
        assert await scada.answer(told, ADD_COMMENT, "  ") == CODES.BadInvalidArgument

    served_to(stored, certificates, work)


def test_a_shelf_is_one_in_both_directions(stored, certificates):
    async def work(_, scada):
        raise_alarm(stored)
        event = await scada.await_event()
        assert await scada.shelve(event, timedelta(hours=2), "sensor is cleaned") == CODES.Good
        (shelf,) = stored.shelves.in_force("too-hot", "oven-1")
        assert (shelf.actor, shelf.until, shelf.reason) == ("scada", at(180), "sensor is cleaned")
        told = await scada.await_event(lambda one: one.SuppressedOrShelved)
        assert getattr(told, "ShelvingState/UnshelveTime") == 2 * 3_600_000
        unshelve(stored, "too-hot", "oven-1", ANNA, at(61))
        await scada.await_event(lambda one: not one.SuppressedOrShelved and one.Time > told.Time)
        shelve(stored, "too-hot", "oven-1", ANNA, at(62), at(120), "tests")
        stored.clock.instant = at(62)
        await until(lambda: scada.events[-1].SuppressedOrShelved)
        assert await scada.call(event.NodeId, UNSHELVE) == CODES.Good
        assert stored.shelves.in_force("too-hot", "oven-1") == []
        assert await scada.call(event.NodeId, UNSHELVE) in (
            CODES.BadConditionNotShelved,
            CODES.BadInvalidArgument,
        )
        assert await scada.shelve(event, timedelta(hours=9)) == CODES.BadShelvingTimeOutOfRange
        assert await scada.shelve(event, timedelta(0)) == CODES.BadShelvingTimeOutOfRange
        assert await scada.shelve(event, timedelta(minutes=5)) == CODES.Good
        assert stored.shelves.in_force("too-hot", "oven-1")[0].reason == WITHOUT_REASON
        stored.clock.instant = at(68)
        await until(lambda: not scada.events[-1].SuppressedOrShelved)

    served_to(stored, certificates, work)


def test_an_older_alarm_that_no_one_answered_stays_as_a_branch(platform, certificates):
    async def work(_, scada):
        older = raise_alarm(platform, 40)
        close_alarm(platform, older.id, 45)
        newer = raise_alarm(platform, 50)
        await scada.await_event(lambda one: not one.BranchId.is_null())
        known = {one.BranchId.is_null(): one for one in await scada.refresh()}
        assert getattr(known[True], "ActiveState/Id") is True
        assert getattr(known[False], "ActiveState/Id") is False
        assert known[True].NodeId == known[False].NodeId
        assert await scada.answer(known[False]) == CODES.Good
        assert platform.episodes.get(older.id).acknowledged is not None
        assert platform.episodes.get(newer.id).acknowledged is None
        await scada.await_event(lambda one: not one.BranchId.is_null() and not one.Retain)
        assert len(await scada.refresh()) == 1

    served_to(platform, certificates, work)


def test_what_does_not_exist_is_refused_and_counted(platform, certificates):
    async def work(service, scada):
        raised = raise_alarm(platform)
        event = await scada.await_event()
        unknown = replace_event(event, EventId=b"\0" * 20)
        assert await scada.answer(unknown) == CODES.BadEventIdUnknown
        other = replace_event(event, NodeId=ua.NodeId("alarm/too-hot/oven-9", 2))
        assert await scada.answer(other) == CODES.BadNodeIdUnknown
        for method in ("ConditionType_Disable", "AcknowledgeableConditionType_Confirm"):
            id = ua.NodeId(getattr(ua.ObjectIds, method))
            assert await scada.answer(event, id) == CODES.BadMethodInvalid
        assert await scada.call(event.NodeId, ADD_COMMENT) == CODES.BadArgumentsMissing
        number = ua.Variant(7, ua.VariantType.Int32)
        assert await scada.call(event.NodeId, ADD_COMMENT, number, number) == CODES.BadTypeMismatch
        await until(lambda: service.refused.counts.total() == 6)
        assert service.refused.counts["there is no such event of this alarm"] == 1
        assert platform.episodes.get(raised.id) == raised

    served_to(platform, certificates, work)
    (first,) = platform.audit.find(AuditFilter(what="refused from outside"), 9)
    assert (first.actor, first.subject[:8]) == ("scada", "ns=2;s=a")


def test_no_node_can_be_written_and_no_other_service_is_offered(platform, certificates):
    async def work(service, scada):
        raise_alarm(platform)
        event = await scada.await_event()
        severity = scada.client.get_node(ua.NodeId(f"{event.NodeId.Identifier}/Severity", 2))
        assert await severity.read_value() == 700
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await severity.write_value(ua.Variant(1, ua.VariantType.UInt16))
        with pytest.raises(ua.UaStatusCodeError):
            await scada.client.nodes.objects.add_object(2, "mine")
        with pytest.raises(ua.UaStatusCodeError):
            await severity.read_raw_history(at(0), at(60))
        nodes = [scada.client.nodes.objects]
        while nodes:
            node = nodes.pop()
            nodes += await node.get_children()
            if await node.read_node_class() == ua.NodeClass.Variable:
                assert ua.AccessLevel.CurrentWrite not in await node.get_user_access_level()
        await until(lambda: service.refused.counts["no node can be written"] == 1)

    served_to(platform, certificates, work)


def test_a_viewer_sees_and_may_not_answer(platform, certificates):
    async def work(_, scada):
        raised = raise_alarm(platform)
        event = await scada.await_event()
        assert await scada.answer(event) == CODES.BadUserAccessDenied
        assert await scada.shelve(event, timedelta(hours=1)) == CODES.BadUserAccessDenied
        assert platform.episodes.get(raised.id).acknowledged is None
        assert platform.shelves.in_force() == []

    served_to(platform, certificates, work, "display", "viewer")


def test_a_program_with_a_scope_knows_of_nothing_else(platform, certificates):
    async def work(service, scada):
        hidden = raise_alarm(platform, 50, "oven-2")
        raise_alarm(platform, 51)
        event = await scada.await_event()
        assert event.NodeId == ua.NodeId("alarm/too-hot/oven-1", 2)
        (only,) = await scada.refresh()
        assert only.SourceName == "Oven 1"
        (known,) = service.book.find("too-hot", "oven-2")
        told = replace_event(event, NodeId=ua.NodeId("alarm/too-hot/oven-2", 2))
        told.EventId = known.event_id
        assert await scada.answer(told) == CODES.BadNodeIdUnknown
        assert platform.episodes.get(hidden.id).acknowledged is None
        plant = scada.client.get_node(ua.NodeId("plant", 2))
        assert await names(plant) == ["line-1"]
        other = scada.client.get_node(ua.NodeId("asset/oven-2", 2))
        with pytest.raises(ua.uaerrors.BadNodeIdUnknown):
            await other.read_display_name()
        with pytest.raises(ua.UaStatusCodeError):
            await scada.subscription.subscribe_events(other, ALARM_TYPE)
        assert await scada.answer(event) == CODES.Good
        assert entries(platform, "scada-1")[0][0] == "acknowledge"

    served_to(platform, certificates, work, "scada-1")


def test_a_browser_finds_the_asset_tree_with_its_alarms(platform, certificates):
    async def work(_, scada):
        raised = raise_alarm(platform)
        await scada.await_event()
        plant = scada.client.get_node(ua.NodeId("plant", 2))
        assert await names(plant) == ["line-1", "line-2"]
        line = (await plant.get_children())[0]
        assert (await line.read_display_name()).Text == "Line 1"
        oven = (await line.get_children())[0]
        assert await names(oven) == ["too-hot"]
        alarm = (await oven.get_children())[0]
        assert await alarm.read_type_definition() == ALARM_TYPE
        assert await names(alarm) == ["ActiveState", "AckedState", "Message", "Severity", "Comment"]
        message = (await alarm.get_children())[2]
        assert (await message.read_value()).Text == "Too hot: Above 215."
        acknowledge(platform, raised.id, ANNA, at(61))
        close_alarm(platform, raised.id)
        await scada.await_event(lambda one: not one.Retain)
        assert await oven.get_children() == []
        platform.assets.store_assets(
            [platform.assets.get("oven-1").model_copy(update={"title": "Tunnel oven"})]
        )

    served_to(platform, certificates, work)


def test_one_asset_can_be_subscribed(platform, certificates):
    async def work(_, scada):
        await scada.subscription.delete()
        await scada.subscribe(scada.client.get_node(ua.NodeId("asset/line-2", 2)))
        raise_alarm(platform, 50)
        raise_alarm(platform, 51, "oven-2")
        assert (await scada.await_event()).SourceName == "oven-2"
        assert len(await scada.refresh()) == 1
        assert [one.SourceName for one in scada.alarms] == ["oven-2", "oven-2"]

    served_to(platform, certificates, work)


def test_a_sign_in_that_is_revoked_ends_within_a_second_or_two(platform, certificates):
    async def work(service, scada):
        raise_alarm(platform)
        event = await scada.await_event()
        disable_account(platform, "scada", "ada", at(60))
        assert await scada.answer(event) == CODES.BadUserAccessDenied
        await until(lambda: service.server.sessions == [])

    served_to(platform, certificates, work)


def test_after_a_restart_a_refresh_tells_the_present_and_nothing_twice(platform, certificates):
    async def scenario():
        secret = token_of(platform, "scada")
        async with (
            served(platform, certificates) as service,
            connected(service, certificates, "scada", secret) as scada,
        ):
            first = raise_alarm(platform, 50)
            raise_alarm(platform, 51, "oven-2")
            await until(lambda: len(scada.events) == 2)
            before = {one.NodeId.Identifier: one.EventId for one in scada.events}
        acknowledge(platform, first.id, ANNA, at(62))
        async with (
            served(platform, certificates) as service,
            connected(service, certificates, "scada", secret) as scada,
        ):
            found = {one.NodeId.Identifier: one for one in await scada.refresh()}
            assert len(found) == 2
            again = found["alarm/too-hot/oven-2"]
            assert again.EventId == before[again.NodeId.Identifier]
            changed = found["alarm/too-hot/oven-1"]
            assert getattr(changed, "AckedState/Id") is True
            assert len(scada.alarms) == 2
            assert await scada.answer(again) == CODES.Good

    asyncio.run(scenario())


def test_a_refresh_is_of_ones_own_subscription(platform, certificates):
    async def work(service, scada):
        async with connected(
            service, certificates, "display", token_of(platform, "display", "viewer")
        ) as other:
            id = ua.Variant(other.subscription.subscription_id, ua.VariantType.UInt32)
            code = await scada.call(CONDITION_TYPE, REFRESH, id)
            assert code == CODES.BadSubscriptionIdInvalid
            with pytest.raises(ua.UaStatusCodeError):
                await scada.client.uaclient.delete_subscriptions([id.Value])
            raise_alarm(platform)
            await other.await_event()

    served_to(platform, certificates, work)


def test_a_wrong_sign_in_is_refused_and_counted(platform, certificates):
    mode = ua.MessageSecurityMode

    async def attempt(service, name, secret, how=mode.SignAndEncrypt):
        scada = Scada(service.server.port, certificates, name, secret)
        if how is not None:
            await scada.secure(how)
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            async with asyncio.timeout(3), scada.client:
                await scada.client.nodes.objects.get_children()
        assert service.server.sessions == []

    async def scenario():
        secret = token_of(platform, "scada")
        other = token_of(platform, "ada-2")
        async with served(platform, certificates) as service:
            await attempt(service, "scada", secret, None)
            await attempt(service, "scada", secret, mode.Sign)
            assert not service.refused.counts["the sign-in is wrong"]
            await attempt(service, "display", secret)
            await attempt(service, "scada", "al_wrong")
            await attempt(service, "", "")
            await attempt(service, "ada-2", other)
            await until(lambda: service.refused.counts["the sign-in is wrong"] == 4)
            platform.clock.instant = at(0) + timedelta(days=301)
            await attempt(service, "scada", secret)
            platform.clock.instant = at(60)
            await attempt(service, "scada", secret)  # right, but the sixth within a minute
            await until(lambda: service.refused.counts["too many wrong sign-ins of this address"])

    asyncio.run(scenario())
    found = platform.audit.find(AuditFilter(what="refused from outside"), 9)
    assert {one.actor for one in found} == {"unknown at 127.0.0.1"}


def test_a_client_whose_certificate_is_unknown_is_refused(platform, tmp_path):
    certificates = Certificates(tmp_path)

    async def scenario():
        secret = token_of(platform, "scada")
        async with served(platform, certificates) as service:
            for _ in range(2):
                scada = Scada(service.server.port, certificates, "scada", secret)
                await scada.secure()
                with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
                    async with scada.client:
                        raise AssertionError
            await until(
                lambda: service.refused.counts["the certificate of the client is not trusted"] == 2
            )
            certificates.trust()
            service.server.trust_again()
            async with connected(service, certificates, "scada", secret):
                assert len(service.server.sessions) == 1

    asyncio.run(scenario())
    assert (certificates.folder / "server_key.pem").stat().st_mode & 0o077 == 0


def test_a_session_without_encryption_is_refused_even_if_forced(platform, certificates):

    async def scenario():
        secret = token_of(platform, "scada")
        async with served(platform, certificates) as service:
            client = Scada(service.server.port, certificates, "scada", secret).client
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            found = await client.get_endpoints()
            assert {one.SecurityMode for one in found} == {ua.MessageSecurityMode.SignAndEncrypt}
            asked = ua.CreateSessionParameters()
            asked.RequestedSessionTimeout = 60_000
            for certificate in (None, certificates.client.read_bytes()):
                asked.ClientCertificate = certificate
                with pytest.raises(ua.UaStatusCodeError):
                    await client.uaclient.create_session(asked)
                    await client.activate_session("scada", secret)
            assert service.server.sessions == []
            await until(lambda: service.refused.counts["the channel is not encrypted"])
            client.disconnect_socket()

    asyncio.run(scenario())


def replace_event(event, **changes):
    """Return an event with other values."""
    made = type(event)()
    made.NodeId = changes.get("NodeId", event.NodeId)
    made.EventId = changes.get("EventId", event.EventId)
    return made


async def names(node):
    """Return the names of the children of a node."""
    return [(await one.read_browse_name()).Name for one in await node.get_children()]


def test_a_flood_is_told_whole_and_bounded(platform, certificates):
    async def work(service, scada):
        started = asyncio.get_running_loop().time()
        for number in range(1000):
            platform.episodes.insert(episode(number, f"too-hot-{number}"))
        await until(lambda: len(scada.alarms) >= 1000)
        assert asyncio.get_running_loop().time() - started < HANG_S
        assert {one.ConditionName for one in scada.alarms} == {f"too-hot-{n}" for n in range(1000)}
        again = await scada.refresh()
        assert len(again) == 1000
        assert len(service.server._nodes._alarms) == MOST_ALARM_NODES
        subscriptions = service.server._inside.subscription_service.subscriptions.values()
        kept = [len(one._not_acknowledged_results) for one in subscriptions]
        assert max(kept) <= MOST_UNCONFIRMED

    served_to(platform, certificates, work)


def test_what_one_client_holds_is_bounded(platform, certificates):
    async def work(service, scada):
        made = [await scada.client.create_subscription(100, scada) for _ in range(4)]
        with pytest.raises(ua.uaerrors.BadTooManySubscriptions):
            await scada.client.create_subscription(100, scada)
        circle = ua.EventFilter()
        circle.SelectClauses.append(ua.SimpleAttributeOperand())
        element = ua.ContentFilterElement()
        element.FilterOperator = ua.FilterOperator.Not
        element.FilterOperands = [ua.ElementOperand(0)]
        circle.WhereClause.Elements.append(element)
        with pytest.raises(ua.uaerrors.BadEventFilterInvalid):
            await made[0]._subscribe(
                scada.client.nodes.server, ua.AttributeIds.EventNotifier, circle
            )
        many = [scada.client.nodes.server.nodeid] * 1001
        with pytest.raises(ua.uaerrors.BadTooManyOperations):
            await scada.client.read_attributes(
                [scada.client.get_node(one) for one in many], ua.AttributeIds.BrowseName
            )
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(b"MSGF" + (2**31).to_bytes(4, "little") + bytes(2 * 1024 * 1024))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        raise_alarm(platform)
        await scada.await_event()

    served_to(platform, certificates, work)
