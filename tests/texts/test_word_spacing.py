from __future__ import annotations

import pytest

from rankscope.texts.word_spacing import lacks_word_spacing


@pytest.mark.parametrize(
    "text",
    [
        "有效秩衡量表示的维数。矩阵熵是谱的熵。",
        "苹果是什么?",
        "第一句话比较长一些。 第二句话也比较长。\n第三句话还是很长。",  # spaces between sentences
        "吾輩は猫である。名前はまだ無い。",
        "コンピュータプログラミング",
        "ฉันชอบอ่านหนังสือ และฟังเพลงในวันหยุด",
        "ຂ້ອຍມັກອ່ານປຶ້ມຢູ່ເຮືອນ",
        "ខ្ញុំចូលចិត្តអានសៀវភៅនៅផ្ទះ",
        "ကျွန်တော်စာအုပ်ဖတ်ရတာကြိုက်တယ်",
        "བདག་དེབ་ཀློག་པར་དགའ་པོ་ཡོད།",
        "请翻译: the cat. 那只猫坐在垫子上看着窗外的小鸟。",
    ],
)
def test_texts_whose_words_stand_together(text: str) -> None:
    assert lacks_word_spacing(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "The effective rank of a representation is the exponential of its entropy.",
        "The city of Beijing (北京市朝阳区) is the capital of China, and its name means northern capital.",
        "유효 랭크는 표현의 엔트로피를 지수로 나타낸 값이다.",
        "Ранг матрицы — число линейно независимых строк.",
        "الرتبة الفعالة هي أس الإنتروبيا",
        "Hạng hiệu dụng là lũy thừa của entropy.",
        "प्रभावी कोटि एन्ट्रॉपी का घातांक है",
        "有效 秩 衡量 表示 的 维数 。 矩阵 熵 是 谱 的 熵 。",  # words that have been set apart
        "ฉัน ชอบ อ่าน หนังสือ และ ฟัง เพลง ใน วันหยุด",
        "苹果",  # one word
        "1234 5678 ๑๒๓๔๕๖๗๘",  # digits
    ],
)
def test_texts_whose_words_are_set_apart(text: str) -> None:
    assert not lacks_word_spacing(text)
