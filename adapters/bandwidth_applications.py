"""Bandwidth's applications: they say where texts and calls are told, for all numbers of the locations they are given
to."""

from collections.abc import Mapping
from urllib.parse import quote

from adapters.bandwidth_dashboard import Dashboard
from adapters.bandwidth_xml import Content, text, write
from adapters.errors import Misconfigured
from adapters.http import Http


class Applications:
    """The messaging application of a channel, and the voice application of its numbers, if it has one."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._dashboard = Dashboard(settings)
        self._messaging_id = settings["application_id"]
        self._voice_id = settings.get("voice_application_id", "")
        self._login: Content = {"UserId": settings["webhook_user"], "Password": settings["webhook_password"]}

    @property
    def have_voice(self) -> bool:
        """Whether calls can be told at all."""
        return bool(self._voice_id)

    async def tell_messages(self, url: str, http: Http) -> None:
        """Have texts and receipts told to this URL."""
        further: dict[str, Content] = {
            "OutboundCallbackUrl": url,
            "InboundCallbackCreds": self._login,
            "OutboundCallbackCreds": self._login,
        }
        await self._tell(self._messaging_id, "InboundCallbackUrl", url, further, http)

    async def tell_calls(self, url: str, http: Http) -> None:
        """Have calls told to this URL."""
        further: dict[str, Content] = {"CallInitiatedMethod": "POST", "CallbackCreds": self._login}
        await self._tell(self._voice_id, "CallInitiatedCallbackUrl", url, further, http)

    async def _tell(self, id: str, field: str, url: str, further: Mapping[str, Content], http: Http) -> None:
        """Other numbers may be in the application: only one that calls nowhere is changed."""
        # <ApplicationProvisioningResponse><Application><ApplicationId>e5a9e103-...</ApplicationId>
        #   <ServiceType>Messaging-V2</ServiceType><AppName>Desk</AppName>
        #   <InboundCallbackUrl>https://...</InboundCallbackUrl>...</Application></ApplicationProvisioningResponse>
        path = f"{self._dashboard.account}/applications/{quote(id, safe='')}"
        root = await self._dashboard.ask(http, "GET", path)
        known = text(root, f"Application/{field}")
        if known == url:
            return
        if known:
            raise Misconfigured(f"the application's {field} is another address than this channel's")
        # An update replaces all that there was.
        kept = {name: text(root, f"Application/{name}") for name in ("ServiceType", "AppName")}
        await self._dashboard.ask(http, "PUT", path, xml=write("Application", {**kept, field: url, **further}))
