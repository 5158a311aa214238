"""Words of the printable dossier in the three languages; the pages keep their own."""

from __future__ import annotations

_KEYS = (
    *("dossier", "before", "after", "picture_note", "what", "status", "intensity_class", "area"),
    *("edited", "first_flag", "issued", "confirmed", "confidence", "verdict", "none_yet", "where"),
    *("coordinates", "municipality", "protected_area", "indigenous_territory", "method"),
    *("method_text", "preset", "run", "scene"),
    *("optical_before", "optical_after", "cloud", "cloud_unsaid"),
    *("status.preliminary", "status.confirmed", "status.closed"),
    *("intensity.low_intensity", "intensity.high_intensity"),
    *("verdict.automatic", "verdict.recent_deforestation", "verdict.recent_degradation"),
    *("verdict.burnt", "verdict.residue", "verdict.water_flooded", "verdict.non_forest"),
    *("verdict.false_positive", "verdict.cloud", "verdict.no_reference"),
    *("candidates", "candidates_note", "probability", "first_seen", "last_seen"),
)
_EN = (
    *("Warning dossier", "Before", "Now"),
    "Radar composite: red VV, green VH, blue the difference of both. Cleared ground is dark.",
    *("What", "Status", "Class", "Area", "polygon edited by an operator", "First flagged image"),
    *("Issued", "Confirmed", "Confidence", "Verdict", "not reviewed yet", "Where", "Coordinates"),
    *("Municipality", "Protected area", "Indigenous territory", "Method"),
    "Fall of Sentinel-1 VH backscatter (gamma0) below the level of the same forest before, seen in "
    "the detection period (DETER-R, Doblas et al. 2022).",
    *("Preset", "run", "scene"),
    *("Optical, before", "Optical, newest", "cloud", "cloud not stated"),
    *("preliminary", "confirmed", "closed"),
    *("low intensity", "high intensity", "automatic", "recent deforestation"),
    *("recent degradation", "burnt", "residue", "water or flooded", "non-forest"),
    *("false positive", "cloud", "no reference", "Mining candidates"),
    "Squares that look like mining on the newest images and touch no warning; not yet visited.",
    *("Probability", "First seen", "Last seen"),
)
_PT = (
    *("Laudo do alerta", "Antes", "Agora"),
    "Composição de radar: vermelho VV, verde VH, azul a diferença. O solo exposto aparece escuro.",
    *("O quê", "Situação", "Classe", "Área", "polígono editado por operador"),
    *("Primeira imagem com sinal", "Emitido", "Confirmado", "Confiança", "Veredito"),
    *("ainda não avaliado", "Onde", "Coordenadas", "Município", "Unidade de conservação"),
    *("Terra indígena", "Método"),
    "Queda do retroespalhamento VH do Sentinel-1 (gama0) abaixo do nível anterior da mesma "
    "floresta, no período de detecção (DETER-R, Doblas et al. 2022).",
    *("Configuração", "execução", "cena"),
    *("Óptica, antes", "Óptica, mais recente", "nuvens", "nuvens não informadas"),
    *("preliminar", "confirmado", "encerrado"),
    *("baixa intensidade", "alta intensidade", "automático", "desmatamento recente"),
    *("degradação recente", "queimada", "resíduo", "água ou área alagada", "não floresta"),
    *("falso positivo", "nuvem", "sem referência", "Candidatos a garimpo"),
    "Quadrados que parecem garimpo nas imagens mais novas e não tocam nenhum alerta; sem vistoria.",
    *("Probabilidade", "Visto primeiro", "Visto por último"),
)
_ES = (
    *("Informe de la alerta", "Antes", "Ahora"),
    "Composición de radar: rojo VV, verde VH, azul la diferencia. El suelo desnudo se ve oscuro.",
    *("Qué", "Estado", "Clase", "Área", "polígono editado por un operador"),
    *("Primera imagen con señal", "Emitida", "Confirmada", "Confianza", "Veredicto"),
    *("aún sin evaluar", "Dónde", "Coordenadas", "Municipio", "Área protegida"),
    *("Territorio indígena", "Método"),
    "Caída de la retrodispersión VH de Sentinel-1 (gamma0) por debajo del nivel anterior del mismo "
    "bosque, en el periodo de detección (DETER-R, Doblas et al. 2022).",
    *("Configuración", "ejecución", "escena"),
    *("Óptica, antes", "Óptica, más reciente", "nubes", "nubes sin indicar"),
    *("preliminar", "confirmada", "cerrada"),
    *("baja intensidad", "alta intensidad", "automático", "deforestación reciente"),
    *("degradación reciente", "quemado", "residuo", "agua o inundado", "no bosque"),
    *("falso positivo", "nube", "sin referencia", "Candidatos a minería"),
    "Cuadrados que parecen minería en las imágenes nuevas y no tocan ninguna alerta; sin visita.",
    *("Probabilidad", "Visto primero", "Visto por última vez"),
)
#: Text by language and key.
WORDS = {
    language: dict(zip(_KEYS, texts, strict=True))
    for language, texts in (("en", _EN), ("pt", _PT), ("es", _ES))
}
