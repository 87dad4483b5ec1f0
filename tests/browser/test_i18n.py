"""The page speaks its user's language."""

import json

import pytest

from .conftest import WORKFLOW, open_page

TEXTS = {
    "ja": (".sdc を選んでアップロード", "SDC で圧縮", "ワークフローを開きますか？", "画像を追加", "付属の小さなモデル"),
    "zh": ("选择 .sdc 文件上传", "用 SDC 压缩", "打开工作流？", "添加图片", "本插件自带的小模型"),
}


@pytest.fixture(params=TEXTS)
def foreign_page(session_page, chromium, request):
    """A page of its own: one that changes its language opens its workflow anew at some time after that."""
    server = session_page.server
    page = open_page(chromium, server, **{"Comfy.Locale": request.param, "Comfy.VueNodes.Enabled": False})
    page.clear()
    page.language = request.param
    yield page
    page.shoot(request.node.name)
    page.page.close()
    server.client.request("/settings", json.dumps({"Comfy.Locale": "en"}).encode())


def test_buttons_menus_and_dialogs(foreign_page, sdc_file):
    page = foreign_page
    button, item, title, answer, tiny = TEXTS[page.language]
    node = page.add("SDCLoad")
    assert page.run("id => sdc.widget(id, 'upload').label", node) == button
    image = page.add("LoadImage", (700, 200))
    page.menu(image, item)
    page.answer(tiny)
    page.wait_for_nodes(8)
    page.drop([sdc_file("foreign.sdc", workflow=WORKFLOW)], (200, 500))  # beside the nodes
    page.page.get_by_text(title).wait_for()
    page.answer(answer)
    page.wait("() => app.graph.nodes.filter(n => n.type === 'SDCLoad').length === 2")
