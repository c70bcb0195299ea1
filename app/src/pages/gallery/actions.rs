//! Buttons, dialogs, menus.

use crate::components::*;
use leptos::prelude::*;

#[component]
pub fn Actions() -> impl IntoView {
    view! {
        <Card title="Buttons, menus, dialogs">
            <Stack>
                <Cluster>
                    <Button kind=ButtonKind::Primary action="button">"Primary"</Button>
                    <Button action="button">"Secondary"</Button>
                    <Button kind=ButtonKind::Quiet action="button">"Quiet"</Button>
                    <Button kind=ButtonKind::Danger action="button" icon=IconName::Trash>"Danger"</Button>
                    <Button kind=ButtonKind::Primary action="button" disabled=true>"Disabled"</Button>
                    <ButtonLink href="/gallery" icon=IconName::Download>"A link"</ButtonLink>
                </Cluster>
                <Cluster>
                    <Button kind=ButtonKind::Primary size=Size::Small action="button">"Small"</Button>
                    <Button size=Size::Small action="button" icon=IconName::Rotate>"Rotate"</Button>
                    <Button kind=ButtonKind::Primary size=Size::Large action="button">"Large"</Button>
                    <Button size=Size::Large action="button">"Large"</Button>
                </Cluster>
                <Cluster>
                    <Menu id="menu-shown" label="Export" shown=true>
                        <MenuLink href="/gallery" label="CSV" icon=IconName::File />
                        <MenuLink href="/gallery" label="JSON" icon=IconName::File />
                    </Menu>
                    <DialogButton dialog="revoke" kind=ButtonKind::Danger>"Revoke key"</DialogButton>
                    <ButtonLink href="/gallery" kind=ButtonKind::Quiet>"The same on a page of its own"</ButtonLink>
                </Cluster>
                <Dialog id="revoke" title="Revoke the key Checkout, web shop?">
                    <Confirm
                        action="/gallery"
                        text="Calls with this key are refused within one second. This cannot be undone."
                        confirm="Revoke key"
                        cancel="/gallery"
                        danger=true
                    />
                </Dialog>
            </Stack>
        </Card>
    }
}
