"""Which sentences need the passage they came from."""

import pytest

from kb.corpora.world import KINDS, LANGUAGES, attributes, make_world
from kb.qa_gen.standalone import question_stands_alone, stands_alone

ALONE = """
Who is the author of Brazao Home?
What does the passage of time do to Brazao Home?
Who founded the company Brazao?
What does the company behind Tulvao Core make?
How long does it take to charge the Tulvao Core?
How much does it cost to repair Tulvao Core?
When was Turan Works founded and who runs it?
When does This American Life air?
What are the IT support hours of Turan Works?
IT support of Turan Works is open until when?
When a visitor enters the site, where must they sign in?
How do employees report their absence?
What is the document retention period of Turan Works?
How many copies of the Staff Handbook are kept?
What is the text size of the Tulvao Core display?
In which section of the archive is QX-1042 kept?
According to the handbook of Turan Works, how long is the leave?
Who reports to the manager of Turan Works?
TM-5580 weighs how much when it is charged?
It was Anna Berg who founded Turan Works.
What does it take to join the board of Turan Works?
Hey, how long does the Tulvao Core last?
启霆塑料公司由谁创立？
天下文化的总部在哪里？
日本文化中心何时成立？
北京中文中心何时成立？
英文中的“kb”是什么意思？
资料中心的电话是多少？
员工资料中心归谁管？
文档中心位于哪里？
如图书馆闭馆，应在哪里还书？
如上海分公司放假，谁值班？
青豹学生版的版本文件叫什么？
启霆塑料公司的成本表由谁编制？
启霆塑料公司的成本节约目标是多少？
本田汽车的总部在哪里？
本溪钢铁公司的员工有多少？
其士集团由谁创立？
他山科技的注册资本是多少？
那曲地区的面积是多少？
那不勒斯办事处的负责人是谁？
应该公司的法人是谁批准？
启霆塑料公司成立于何时，该公司的创始人是谁？
如果员工迟到，该员工会被罚多少？
启霆塑料公司及其他分公司有多少员工？
土耳其分公司的负责人是谁？
启霆塑料公司及其子公司共有多少员工？
员工因其过失造成的损失由谁承担？
张伟和他的团队在哪一年加入启霆塑料公司？
启霆塑料公司的股东在该公司有几票？
因此处罚上限是多少元，按隐私保护条例？
海上文化公司的创始人是谁？
中原文化公司的许可证号是什么？
一本手册的售价是多少元？
李文中的办公室在哪里？
吉他的重量是多少？
地下表层的温度是多少？
"""

POINTING = """
What does this document say about leave?
According to the passage, who founded Turan Works?
According to the report, what is the price?
What is the price in the table?
What does the report state about Tulvao Core?
Who founded the company?
How many employees does the company have?
When was it founded?
It was founded in 1999.
The company was founded by Anna Berg on 3 May 1999.
This product costs 349 crowns.
What is the price mentioned above?
What is the value shown in the table?
Who is the author?
What is their annual leave?
Where does she work?
Which price does the following table give for Tulvao Core?
Who wrote this report?
Which price is listed in the document?
What is the above-mentioned price?
Who does the passage name?
Hey, how long does it last?
Any idea how long it lasts?
Quick question: how much is it?
So what does it cost?
How long does it take?
Anyone know when they open?
本文的作者是谁？
文中提到的价格是多少？
根据上文，创始人是谁？
上述公司的总部在哪里？
如图所示的价格是多少？
如下表所示，售价是多少？
该表中的价格是多少？
该公司的创始人是谁？
请问该公司的创始人是谁？
谁创立了该公司？
谁创立了它？
它的售价是多少？
其创始人是谁？
本公司的年假是多少天？
我公司何时成立？
这款产品的售价是多少？
谁为其提供担保？
请问由其创立的公司叫什么？
谁和他一起创立了启霆塑料公司？
股东在该公司有几票？
请问在其总部有多少员工？
这家公司的总部在哪里？
此表列出的价格是多少？
此处的价格是多少？
根据资料，启霆塑料公司由谁创立？
根据手册，年假有几天？
资料中提到的公司叫什么？
文件中，罚款是多少？
原文中的价格是多少？
本条例自哪天起施行？
见下表，价格是多少？
本手册由谁编写？
根据片段，谁负责？
"""


@pytest.mark.parametrize("text", ALONE.strip().splitlines())
def test_sentences_that_stand_alone(text):
    """Names that hold a pointing word, pointers to what the sentence names itself, and plain questions."""
    assert stands_alone(text)


@pytest.mark.parametrize("text", POINTING.strip().splitlines())
def test_sentences_that_point_elsewhere(text):
    """Pointers at the passage and at something named before it."""
    assert not stands_alone(text)


IN_CONTEXT = """
I am a nurse and plan night shifts. How long does the battery of Tulvao Core last?
I'm comparing devices for our purchasing department: how many hours does Tulvao Core run on one charge?
A customer wants to know how long it runs. What is the battery life of Tulvao Core?
As a new employee I need details of the product. What is the battery life of Tulvao Core?
We are a small shop and sell Tulvao Core. How long does it last?
My boss asked: what does Tulvao Core cost?
I would like to know how long the battery of Tulvao Core lasts.
Tulvao Core battery life
battery life, Tulvao Core
我在准备投标材料，想确认一下，图尔瓦公司的注册资本是多少？
我是新来的财务，正在填表。图尔瓦公司的注册资本是多少？
作为审计人员，我需要核对一下：图尔瓦公司的注册资本有多少？
客户问起来了，图尔瓦公司注册资本到底多少啊？
想请教一下，图尔瓦公司的注册资本有多少。
我想了解图尔瓦公司，它的注册资本是多少？
图尔瓦公司 注册资本
注册资本 图尔瓦公司
"""

WITHOUT_A_NAME = """
I am a nurse. How long does it last?
I'm a nurse and want to know how long it lasts.
As a nurse, how long does it last?
A customer wants to know how long it lasts.
I need the details of the product. How long does the battery last?
What does the company sell? Where is Turan Works?
I have read this document. When was Turan Works founded?
A customer has the handbook. According to the handbook, who founded Turan Works?
我是护士。它能用多久？
作为审计人员，该公司的注册资本是多少？
客户问，它的注册资本是多少？
同事想知道它的注册资本。
请问，它的注册资本是多少？
我是财务，我们公司的注册资本是多少？
我是新员工，根据手册，年假有几天？
"""


@pytest.mark.parametrize("text", IN_CONTEXT.strip().splitlines())
def test_questions_in_context_that_stand_alone(text):
    """Who asks and why stands before the question, or it is key words alone."""
    assert question_stands_alone(text)


@pytest.mark.parametrize("text", WITHOUT_A_NAME.strip().splitlines())
def test_who_asks_names_nothing_that_is_asked_about(text):
    """A nurse or a customer is not what "it" stands for, and a context may not point at the passage either."""
    assert not question_stands_alone(text)


def test_full_width_letters_point_as_well():
    """Width does not matter."""
    assert not stands_alone("Ｗｈａｔ ｉｓ ｉｎ ｔｈｉｓ ｔａｂｌｅ？")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_wording_of_the_world_is_refused(language):
    """All statements and questions of the fictional world stand alone."""
    entities = {entity.kind: entity for entity in make_world(3, language, 1)}
    refused = []
    for kind in KINDS:
        for attribute in attributes(language, kind):
            entity = entities[kind]
            texts = [entity.state(attribute, number) for number in range(len(attribute.statements))]
            texts += [entity.ask(attribute, family, number) for family in "ab" for number in range(6)]
            refused += [text for text in texts if not (stands_alone(text) and question_stands_alone(text))]
    assert refused == []
